"""MAX_MESSAGE_BYTES, on every kind of broker: what is refused at send, and follow-ups that outgrow it."""

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_machinery import Chord, Group, Signature, TaskFailed, Worker, send_chain, send_chord
from django_machinery.exceptions import EncodeError
from django_machinery.models import DeadLetter
from django_machinery.protocol.codec import encode_signature
from django_machinery.server import Server
from tests.app.tasks import concat, echo, record_all, recorded
from tests.integration.conftest import running
from tests.integration.matrix import PAIRS, pairs
from tests.waiting import wait_until

LIMIT = 20_000
TEXT = "x" * 8000
KINDS = [
    *((alias, "orm", "orm") for alias in ("default", "mariadb", "postgres")),
    *(("default", broker, "orm") for broker in ("push", "eager")),
    ("default", "push", "eager"),
    *(("default", broker, broker) for broker in ("redis-tcp", "redis-cluster")),
    ("default", "redis-tcp", "orm"),
]
TIMEOUT = 30.0


def test_each_kind_is_there():
    assert set(KINDS) <= set(PAIRS)


def kinds() -> list[Any]:
    return [parameters for parameters in pairs() if parameters.values in KINDS]


@pytest.fixture
def further_settings() -> dict[str, Any]:
    return {"MAX_MESSAGE_BYTES": LIMIT}


@pytest.mark.parametrize(("database", "broker", "backend"), kinds(), indirect=["database"])
class TestLargeMessages:
    def test_what_is_too_large_is_refused_however_it_is_sent(self, server: Server, database: str):
        large = TEXT * 3
        with pytest.raises(EncodeError, match="the limit is 20000"):
            echo.send(large)
        with pytest.raises(EncodeError, match="the limit is 20000"):
            echo.using(eta=timedelta(hours=1)).send(large)
        with transaction.atomic(using=database), pytest.raises(EncodeError, match="the limit is 20000"):
            echo.send(large)

    def test_follow_ups_that_have_grown_too_large_fail_alone(self, server: Server, database: str):
        """The second step of a chain, the callback of a chord, and a retry that keeps a longer count of itself."""
        server.register_task("double", lambda text: text * 2)
        alarm = record_all.partial("alarm")
        parts = Group(*[echo.signature(TEXT) for _ in range(3)])
        with _worker(server):
            chain = send_chain(
                Signature.of("double", TEXT), concat.using(on_error=[alarm]).partial(TEXT), echo.partial()
            )
            chord = send_chord(Chord(parts, concat.partial(), on_error=[alarm]))
            retried = server.send_task(_full())
            for result in (chain.results[1], chain.results[2], chord, retried):
                with pytest.raises(TaskFailed, match=r"cannot be sent: .* 20000"):
                    result.get(timeout=TIMEOUT)
            assert chain.results[0].get(timeout=TIMEOUT) == TEXT * 2
            assert chord.group.get(timeout=TIMEOUT) == [TEXT] * 3
            wait_until(lambda: len(recorded()) == 2, timeout=TIMEOUT)
        dead = {chain.results[1].uuid, chord.uuid, retried.uuid}
        letters = DeadLetter.objects.using(database).filter(uuid__in=dead)
        assert {(letter.uuid, letter.reason) for letter in letters} == {(uuid, "refused") for uuid in dead}


def _worker(server: Server) -> Any:
    return nullcontext() if server.broker.executes_inline else running(Worker(server, concurrency=2))


def _full() -> Signature:
    """A task that fails, in a message that has room for nothing more."""
    empty = Signature.of(
        "tests.app.tasks.fail", "", uuid="task_full", queue="machinery_tasks", retry_count=3, headers={}
    )
    return empty.replace(args=["x" * (LIMIT - len(encode_signature(empty)))])
