"""`run_tasks` within the transaction of a test case, on every engine."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from django_machinery import Chord, Group, TaskFailed, send_chain, send_chord
from django_machinery.testing import run_tasks
from tests.app.tasks import add, fail, fail_times, multiply, total
from tests.databases import ALIASES
from tests.services import require, shared


def in_a_test_case(alias: str) -> Any:
    """A parameter with the mark for its database, where there is such a server."""
    present = alias not in shared.SERVERS or alias in shared.available()
    return pytest.param(alias, marks=[pytest.mark.django_db(databases=[alias])] if present else [])


@pytest.mark.parametrize("alias", [in_a_test_case(alias) for alias in ALIASES])
def test_workflows_delays_and_failures_run_in_the_transaction(alias: str):
    if alias in shared.SERVERS:
        require(type(shared.SERVERS[alias]))
    url = f"orm://{alias}"
    with override_settings(
        MACHINERY={"default": {"BROKER": url, "RESULT_BACKEND": url, "LOCK": "eager", "DATABASE": alias}}
    ):
        assert connections[alias].in_atomic_block
        chord = send_chord(Chord(Group(add.signature(1, 1), add.signature(2, 2)), total.partial(100)))
        chain = send_chain(add.signature(1, 1), multiply.partial(4))
        failing = fail.send("broken")
        delayed = add.using(eta=timedelta(hours=1)).send(3, 4)
        retried = fail_times.using(retry_count=1).send(1)
        assert run_tasks() == 3 + 2 + 1 + 1
        assert run_tasks(delayed=True) == 2
        assert (chord.get(), chain.get(), delayed.get(), retried.get()) == (106, 8, 7, 2)
        with pytest.raises(TaskFailed, match="broken"):
            failing.get()
