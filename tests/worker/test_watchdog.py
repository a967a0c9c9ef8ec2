"""The watchdog's own troubles; what it does for tasks is shown with the crew."""

from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from django_machinery.exceptions import TaskTimedOut
from django_machinery.protocol.signature import Signature
from django_machinery.worker.watchdog import Watchdog
from tests.waiting import wait_until


def slot(name: str, timeout: Any, interrupted: list[Any]) -> Any:
    """One in which a task has run for long."""
    run = SimpleNamespace(
        signature=Signature(name=name),
        definition=SimpleNamespace(timeout=timeout, hard_timeout=None),
        began=monotonic() - 60,
        told=True,
        unwatched=False,
        interrupt=interrupted.append,
    )
    return SimpleNamespace(run=run)


def test_a_run_that_cannot_be_looked_at_leaves_the_others_their_limits(caplog: pytest.LogCaptureFixture):
    interrupted: list[Any] = []
    slots = [slot("wrong", "5", interrupted), slot("right", 5.0, interrupted)]
    watchdog = Watchdog(slots, lambda change: None, "me", None)
    watchdog.start()
    try:
        wait_until(lambda: len(interrupted) >= 3)
    finally:
        watchdog.stop()
    assert set(interrupted) == {TaskTimedOut}
    assert caplog.text.count("The time limits of wrong cannot be watched") == 1
