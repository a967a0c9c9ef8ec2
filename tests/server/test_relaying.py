"""What waits in the outbox and cannot be sent holds up nothing else: its task fails, and the message is kept."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_machinery import Chord, Group, Signature, TaskFailed, servers, signals
from django_machinery.exceptions import BackendRefused, BackendUnavailable, BrokerError
from django_machinery.models import DeadLetter, Message
from django_machinery.protocol.codec import encode_signature
from django_machinery.server import Server
from django_machinery.testing import run_tasks
from tests import toys
from tests.app.tasks import RECORD, add, echo, record_all, recorded
from tests.contracts.support import unique
from tests.toys.push import PushBroker
from tests.worker.support import heard

pytestmark = pytest.mark.django_db(transaction=True)

LARGE = "x" * PushBroker.max_body


@pytest.fixture(params=["orm://default", "eager://"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One whose broker can neither delay nor take large messages."""
    settings = {
        "BROKER": f"push://{unique('server')}",
        "RESULT_BACKEND": request.param,
        "LOCK": "eager://",
        "DRIVERS": toys.DRIVERS,
    }
    with override_settings(MACHINERY={"default": settings}):
        yield servers["default"]


def delayed(*values: int) -> list[Any]:
    """Tasks that wait in the outbox, in the order given."""
    return [add.using(eta=timedelta(hours=1)).send(value, 1) for value in values]


def relay(server: Server) -> int:
    """Relay all, as if all were due; what a relay that is refused before its end held back comes again."""
    Message.objects.update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
    return server.relay_outbox()


def make_undecodable(server: Server, uuid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Message.objects.filter(uuid=uuid).update(body='{"UUID":')


def make_too_large(server: Server, uuid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a program with other ideas of what is too large."""
    body = Message.objects.get(uuid=uuid).body
    Message.objects.filter(uuid=uuid).update(body=body.replace('"Headers":{}', f'"Headers":{{"a":"{LARGE}"}}'))


def make_refused(server: Server, uuid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend cannot hold its state, as with a UUID that is no text."""
    set_states = server.backend.set_states

    def refuse(changes: Sequence[Any]) -> list[bool]:
        if any(change.uuid == uuid for change in changes):
            raise BackendRefused("no such text")
        return set_states(changes)

    monkeypatch.setattr(server.backend, "set_states", refuse)


@pytest.mark.parametrize(
    ("poison", "reason", "detail"),
    [
        (make_undecodable, "undecodable", "expected"),
        (make_too_large, "refused", "the broker takes"),
        (make_refused, "refused", "no such text"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_message_that_can_never_be_sent_holds_up_no_other(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    poison: Callable[[Server, str, pytest.MonkeyPatch], None],
    reason: str,
    detail: str,
    place: int,
):
    sent = delayed(*range(4))
    bad = sent.pop(place)
    poison(server, bad.uuid, monkeypatch)
    with heard(signals.message_rejected) as told:
        assert relay(server) == 4
    assert server.broker.depth("machinery_tasks") == 3
    assert not Message.objects.exists()
    letter = DeadLetter.objects.get()
    assert (letter.uuid, letter.queue, letter.reason) == (bad.uuid, "machinery_tasks", reason)
    assert detail in letter.detail
    assert [(event["reason"], event["server"]) for event in told] == [(reason, "default")]
    run_tasks()
    assert [result.get(timeout=5) for result in sent] == [value + 1 for value in range(4) if value != place]
    if poison is not make_refused:
        with pytest.raises(TaskFailed, match=detail):
            bad.get(timeout=5)


def test_an_error_that_may_pass_holds_up_no_other_and_is_told(server: Server, monkeypatch: pytest.MonkeyPatch):
    bad, *good = delayed(*range(4))
    publish = server.broker.publish

    def refuse(signatures: Sequence[Signature]) -> None:
        if any(signature.uuid == bad.uuid for signature in signatures):
            raise BrokerError("no room on this queue")
        publish(signatures)

    monkeypatch.setattr(server.broker, "publish", refuse)
    with pytest.raises(BrokerError, match="no room"):
        relay(server)
    assert server.broker.depth("machinery_tasks") == 3
    assert [row.uuid for row in Message.objects.all()] == [bad.uuid]
    monkeypatch.undo()
    assert relay(server) == 1
    run_tasks()
    assert [result.get(timeout=5) for result in (bad, *good)] == [1, 2, 3, 4]


def test_a_store_that_is_away_leaves_all_as_it_was(server: Server, monkeypatch: pytest.MonkeyPatch):
    delayed(*range(3))

    def away(changes: Sequence[Any]) -> list[bool]:
        raise BackendUnavailable("gone")

    monkeypatch.setattr(server.backend, "set_states", away)
    with pytest.raises(BackendUnavailable):
        relay(server)
    assert Message.objects.count() == 3
    assert not DeadLetter.objects.exists()


@pytest.fixture
def record(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RECORD, str(tmp_path / "record"))


@pytest.mark.usefixtures("record")
def test_a_follow_up_that_is_too_large_fails_alone(server: Server):
    """Its parent has a result; its own error callbacks run, and what was to come after it fails."""
    server.register_task("double", lambda text: text * 2)
    after = echo.using(uuid=unique("after")).partial()
    large = record_all.using(
        uuid=unique("large"),
        headers={"a": "x" * (PushBroker.max_body // 2)},
        on_success=[after],
        on_error=[record_all.partial("alarm")],
    ).partial()
    small = echo.using(uuid=unique("small")).partial()
    text = "y" * (PushBroker.max_body // 3)
    result = server.send_task(Signature.of("double", text, on_success=[large, small]))
    run_tasks()
    assert (result.get(timeout=5), result.sibling(small.uuid, "").get(timeout=5)) == (text * 2, text * 2)
    for uuid in (large.uuid, after.uuid):
        with pytest.raises(TaskFailed, match=r"cannot be sent: .* the broker takes"):
            result.sibling(uuid, "").get(timeout=5)
    assert DeadLetter.objects.get().uuid == large.uuid
    (alarm,) = recorded()
    assert alarm.startswith("the")


def test_a_chord_whose_results_are_too_large_together_fails(server: Server):
    members = Group(*[echo.signature("x" * (len(LARGE) // 2)) for _ in range(3)])
    chord = server.send_chord(Chord(members, echo.partial()))
    run_tasks()
    with pytest.raises(TaskFailed, match="cannot be sent"):
        chord.get(timeout=5)
    assert chord.progress.done == 3


def test_a_retry_that_has_grown_too_large_ends_its_task(server: Server):
    def fail(text: str) -> None:
        raise ValueError(text[:3])

    server.register_task("fails", fail)
    empty = Signature.of("fails", "", uuid=unique("task"), queue="machinery_tasks", retry_count=3, headers={})
    room = PushBroker.max_body - len(encode_signature(empty))
    result = server.send_task(empty.replace(args=["x" * room]))
    run_tasks()
    with pytest.raises(TaskFailed, match="cannot be sent"):
        result.get(timeout=5)
    assert (DeadLetter.objects.get().uuid, Message.objects.count()) == (result.uuid, 0)
