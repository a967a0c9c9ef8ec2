"""The outbox: messages that still have to reach their broker."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from django_machinery.models import Message
from django_machinery.models.message import MessageManager
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from tests.contracts.support import race, unique


@pytest.fixture
def outbox(database: str) -> MessageManager:
    return Message.objects.db_manager(database)


@pytest.fixture
def server() -> str:
    return unique("server")


def task(**fields: object) -> Signature:
    return Signature.of("add", 1, **{"uuid": unique("task"), "queue": "math", **fields})  # type: ignore[arg-type]


def let_time_pass(outbox: MessageManager, **time: float) -> None:
    for row in outbox.all():
        row.due_at -= timedelta(**time)
        row.save(update_fields=["due_at"])


def test_a_row_is_left_to_its_writer_for_a_moment_and_then_taken_by_one_relay(outbox: MessageManager, server: str):
    tasks = [task(), task()]
    fences = outbox.outbox_put(server, tasks)
    assert outbox.outbox_due(server, 10) == []
    let_time_pass(outbox, seconds=3)
    rows = outbox.outbox_due(server, 10)
    assert [decode_signature(row.body) for row in rows] == tasks
    assert [(row.id, row.claims) for row in rows] == fences
    assert outbox.outbox_due(server, 10) == []


def test_what_a_relay_took_and_did_not_publish_is_taken_again_later(outbox: MessageManager, server: str):
    outbox.outbox_put(server, [task()])
    let_time_pass(outbox, seconds=3)
    assert len(outbox.outbox_due(server, 10)) == 1
    let_time_pass(outbox, seconds=11)
    assert len(outbox.outbox_due(server, 10)) == 1


def test_relays_at_the_same_instant_take_each_row_once(outbox: MessageManager, server: str):
    outbox.outbox_put(server, [task() for _ in range(20)])
    let_time_pass(outbox, seconds=3)
    taken = [row.id for rows in race([partial(outbox.outbox_due, server, 20)] * 3) for row in rows]
    assert len(taken) == len(set(taken))
    left = outbox.outbox_due(server, 20)
    assert len(taken) + len(left) == 20


def test_a_delayed_message_is_due_at_its_eta(outbox: MessageManager, server: str):
    outbox.outbox_put(server, [task(eta=timedelta(hours=1))])
    let_time_pass(outbox, minutes=59)
    assert outbox.outbox_due(server, 10) == []
    let_time_pass(outbox, minutes=2)
    assert len(outbox.outbox_due(server, 10)) == 1


def test_rows_are_for_one_server_and_invisible_to_workers(outbox: MessageManager, server: str):
    outbox.outbox_put(server, [task()])
    let_time_pass(outbox, seconds=3)
    assert outbox.outbox_due("other", 10) == []
    assert outbox.claim(1, ["math"], 10) == []
    assert outbox.promote(10) == []
    assert outbox.ready("math").count() == 0


def test_no_more_is_taken_than_asked_for_the_longest_due_first(outbox: MessageManager, server: str):
    tasks = [task(eta=timedelta(seconds=seconds)) for seconds in (30, 10, 20)]
    outbox.outbox_put(server, tasks)
    let_time_pass(outbox, minutes=1)
    rows = outbox.outbox_due(server, 2)
    assert [decode_signature(row.body).uuid for row in rows] == [tasks[1].uuid, tasks[2].uuid]


def test_a_row_that_was_written_again_is_not_deleted_with_the_first(outbox: MessageManager, server: str):
    first, kept = task(), task()
    published = outbox.outbox_put(server, [first, kept])
    again = outbox.outbox_put(server, [first.replace(args=[2])])
    assert outbox.outbox_delete(published) == 1
    (row,) = outbox.filter(relay_to=server)
    assert (row.id, row.claims) == again[0]
    assert decode_signature(row.body).args == first.replace(args=[2]).args
    assert outbox.outbox_delete(again) == 1
    assert outbox.outbox_delete(again) == 0


def test_many_rows_are_deleted_at_once_and_none_is_nothing(outbox: MessageManager, server: str):
    assert outbox.outbox_delete([]) == 0
    assert outbox.outbox_put(server, []) == []
    fences = outbox.outbox_put(server, [task() for _ in range(450)])
    assert outbox.outbox_delete(fences) == 450


def test_a_row_has_what_a_message_has(outbox: MessageManager, server: str):
    eta = datetime.now(UTC) + timedelta(hours=1)
    outbox.outbox_put(server, [task(priority=3, eta=eta)])
    row = outbox.get(relay_to=server)
    assert (row.queue, row.name, row.rank, row.due_at) == ("math", "add", -3, eta)
    assert str(row) == f"add {row.uuid} on math"
