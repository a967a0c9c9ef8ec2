"""What operators do to queues and tasks, on a real database without a worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_machinery import Chord, Group, Signature, Worker, control, signals
from django_machinery.models import Attempt, Cancellation, GroupMeta, Message, TaskState
from django_machinery.models.control import ANY_GENERATION
from django_machinery.protocol import headers
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.server import Server
from tests.worker.support import database_server, heard, toy_server

LATER = timedelta(hours=1)


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        server.register_task("add", lambda x, y: x + y)
        yield server


def send(server: Server, **fields: Any) -> str:
    return server.send_task(Signature.of("add", 1, 2, **fields)).uuid


def state(server: Server, uuid: str) -> TaskState:
    return TaskState.objects.using(server.config.database).get(uuid=uuid)


def end(server: Server, uuid: str, word: str = SUCCESS) -> None:
    """Let a task have ended."""
    Message.objects.using(server.config.database).filter(uuid=uuid).delete()
    server.backend.set_states([StateChange(Signature(name="add", uuid=uuid), word)])


class TestPausing:
    def test_a_queue_is_paused_until_it_is_resumed(self, server: Server):
        control.pause(server, "math", by="me")
        control.pause(server, "math", by="you")
        assert control.paused(server) == {"math"}
        control.resume(server, "math")
        control.resume(server, "math")
        assert control.paused(server) == set()

    def test_a_pause_may_end_by_itself(self, server: Server):
        control.pause(server, "math", resume_at=datetime.now(UTC) - timedelta(seconds=1))
        control.pause(server, "mail", resume_at=datetime.now(UTC) + LATER)
        assert control.paused(server) == {"mail"}

    def test_a_pause_holds_for_one_server(self, server: Server):
        control.pause(server, "math")
        other = toy_server(database=server.config.database, alias="other")
        assert control.paused(other) == set()


class TestCancelling:
    def test_a_waiting_task_fails_at_once(self, server: Server):
        uuids = [send(server), send(server, eta=LATER), send(server)]
        with heard(signals.task_failed) as told:
            assert control.cancel(server, uuids[:2], by="me") == 2
        for uuid in uuids[:2]:
            row = state(server, uuid)
            assert (row.state, row.reason) == (FAILURE, "cancelled")
            assert row.error == "the task was cancelled by me before it ran"
        assert {event["signature"].uuid for event in told} == set(uuids[:2])
        assert [message.uuid for message in Message.objects.using(server.config.database).all()] == uuids[2:]
        assert not Cancellation.objects.using(server.config.database).filter(applied_at=None).exists()

    def test_error_callbacks_go_and_later_steps_are_given_up(self, server: Server):
        uuid = send(
            server, on_success=[Signature(name="then", uuid="then")], on_error=[Signature(name="sorry", uuid="sorry")]
        )
        control.cancel(server, [uuid])
        assert state(server, "then").reason == "parent"
        (message,) = Message.objects.using(server.config.database).all()
        assert message.uuid == "sorry"

    def test_the_chord_of_a_cancelled_member_fails(self, server: Server):
        chord = server.send_chord(
            Chord(Group(Signature.of("add", 1, 2), Signature.of("add", 3, 4)), Signature(name="sum"))
        )
        control.cancel(server, [chord.group.results[0].uuid])
        group = GroupMeta.objects.using(server.config.database).get()
        assert (group.remaining, group.failed) == (1, 1)
        assert group.settled_at is not None
        assert state(server, chord.uuid).reason == "parent"

    def test_what_runs_is_asked_and_what_has_ended_is_not(self, server: Server):
        running, done = send(server), send(server)
        Message.objects.using(server.config.database).filter(uuid=running).update(status=Message.Status.CLAIMED)
        end(server, done)
        assert control.cancel(server, [running, done], by="me", hard=True) == 1
        row = Cancellation.objects.using(server.config.database).get()
        assert (row.uuid, row.generation, row.requested_by, row.hard) == (running, 0, "me", True)
        assert row.applied_at is None
        assert state(server, running).state == PENDING

    def test_asking_again_renews_the_request(self, server: Server):
        uuid = send(server)
        Message.objects.using(server.config.database).filter(uuid=uuid).update(status=Message.Status.CLAIMED)
        control.cancel(server, [uuid], by="me")
        Cancellation.objects.db_manager(server.config.database).settle(server.alias, [uuid])
        control.cancel(server, [uuid], by="you", hard=True)
        row = Cancellation.objects.using(server.config.database).get()
        assert (row.requested_by, row.hard, row.applied_at) == ("you", True, None)

    def test_an_unknown_task_may_come_yet(self, server: Server):
        assert control.cancel(server, ["task_unknown"]) == 1
        assert Cancellation.objects.using(server.config.database).get().generation == ANY_GENERATION

    def test_no_lease_stays_behind(self, server: Server):
        from django_machinery.models import WorkerProcess

        control.cancel(server, [send(server)])
        assert not WorkerProcess.objects.using(server.config.database).filter(lease_until__isnull=False).exists()


class TestRunningAgain:
    def test_a_task_that_has_ended_starts_anew(self, server: Server):
        uuid = send(server, on_success=[Signature(name="add", uuid="first-then")])
        end(server, uuid, FAILURE)
        assert control.retry(server, [uuid, "task_unknown"]) == 1
        row = state(server, uuid)
        assert (row.state, row.generation, row.attempt) == (PENDING, 1, 1)
        (message,) = Message.objects.using(server.config.database).all()
        again = server.decode(message.body.encode())
        assert headers.generation(again) == 1
        (callback,) = again.success_callbacks
        assert callback.uuid != "first-then"
        assert state(server, callback.uuid).state == PENDING

    def test_what_has_not_ended_is_left_alone(self, server: Server):
        uuid = send(server)
        assert control.retry(server, [uuid]) == 0
        assert state(server, uuid).generation == 0

    def test_a_cancelled_task_that_is_run_again_is_not_cancelled_again(self, server: Server):
        uuid = send(server)
        Message.objects.using(server.config.database).filter(uuid=uuid).update(status=Message.Status.CLAIMED)
        control.cancel(server, [uuid])
        end(server, uuid, FAILURE)
        control.retry(server, [uuid])
        Worker(server, concurrency=1).run(drain=True)
        assert state(server, uuid).state == SUCCESS

    def test_it_can_be_cancelled_once_more_after_that(self, server: Server):
        uuid = send(server)
        control.cancel(server, [uuid])
        control.retry(server, [uuid])
        assert control.cancel(server, [uuid]) == 1
        assert (state(server, uuid).state, state(server, uuid).generation) == (FAILURE, 1)

    def test_a_delayed_task_runs_now(self, server: Server):
        delayed, ready = send(server, eta=LATER), send(server)
        assert control.run_now(server, [delayed, ready, "task_unknown"]) == 1
        Worker(server, concurrency=1).run(drain=True)
        assert state(server, delayed).state == SUCCESS


class TestDeleting:
    def test_what_has_ended_goes_with_its_attempts(self, server: Server):
        done, waiting = send(server), send(server)
        end(server, done, FAILURE)
        for uuid in (done, waiting):
            Attempt.objects.using(server.config.database).create(
                uuid=uuid, name="add", number=1, ended_at=datetime.now(UTC), outcome="error"
            )
        assert control.delete(server, [done, waiting, "task_unknown"]) == 1
        assert [row.uuid for row in TaskState.objects.using(server.config.database).all()] == [waiting]
        assert [row.uuid for row in Attempt.objects.using(server.config.database).all()] == [waiting]

    def test_members_of_a_group_that_goes_on_are_spared(self, server: Server):
        group = server.send_group(Group(Signature.of("add", 1, 2), Signature.of("add", 3, 4)))
        first, second = (result.uuid for result in group.results)
        for uuid in (first, second):
            signature = server.backend.signatures([uuid])[0]
            assert signature is not None
            assert control.delete(server, [first]) == 0
            server.backend.set_states([StateChange(signature, SUCCESS)])
        assert control.delete(server, [first, second]) == 2

    def test_a_purged_queue_is_empty_and_its_tasks_have_failed(self, server: Server):
        uuids = [send(server, queue="math") for _ in range(3)]
        elsewhere = send(server, queue="mail")
        assert control.purge(server, "math") == 3
        assert {state(server, uuid).reason for uuid in uuids} == {"cancelled"}
        assert state(server, elsewhere).state == PENDING
        assert server.broker.depth("math") == 0

    def test_purging_takes_what_cannot_be_decoded_too(self, server: Server):
        uuid = send(server, queue="math")
        Message.objects.using(server.config.database).filter(uuid=uuid).update(body="no message")
        assert control.purge(server, "math") == 1


def test_chunks_cover_all_of_a_long_list(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(control, "CHUNK", 2)
    uuids = [send(server) for _ in range(5)]
    assert control.cancel(server, [*uuids, *uuids]) == 5
    assert control.retry(server, uuids) == 5
    assert TaskState.objects.using(server.config.database).filter(state=PENDING, generation=1).count() == 5
