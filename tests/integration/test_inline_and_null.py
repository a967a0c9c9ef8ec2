"""What is different where tasks run as they are sent, and where results are thrown away."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, override_settings

from django_machinery import (
    AsyncResult,
    Chain,
    Chord,
    Group,
    Worker,
    send_chain,
    send_chord,
    send_group,
    send_task,
    servers,
)
from django_machinery.exceptions import BackendError, BackendRefused, TaskFailed, TaskNotRegistered
from django_machinery.seams.backend import StateChange
from django_machinery.server import Server
from tests.app.tasks import RECORD, add, fail, fail_times, noop, record, record_all, recorded
from tests.integration.conftest import running
from tests.integration.matrix import settings_of
from tests.waiting import wait_until


@pytest.fixture
def eager() -> Iterator[Server]:
    with override_settings(MACHINERY={"default": {"BROKER": "eager", "RESULT_BACKEND": "eager", "LOCK": "eager"}}):
        yield servers["default"]


@pytest.mark.django_db
class TestInline:
    def test_a_task_has_ended_when_its_send_returns(self, eager: Server):
        assert add.send(1, 2).touch() == 3
        assert fail.send("broken").is_failure

    def test_a_task_may_wait_for_a_task_that_it_sends(self, eager: Server):
        eager.register_task("double", lambda: 2 * add.send(1, 2).get(timeout=1))
        assert send_task("double").touch() == 6

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, pytest.fail.Exception])
    def test_what_is_no_exception_ends_the_sender_too(self, eager: Server, kind: type[BaseException]):
        def leave() -> None:
            raise kind("enough")

        eager.register_task("leave", leave)
        eager.register_task("outer", lambda: send_task("leave", uuid="task_inner").uuid)
        with pytest.raises(kind, match="enough"):
            send_task("outer", uuid="task_outer")
        assert [AsyncResult[Any](uuid).state for uuid in ("task_inner", "task_outer")] == ["FAILURE", "FAILURE"]
        assert add.send(1, 2).get() == 3

    def test_retries_run_without_waiting_until_they_are_used_up(self, eager: Server):
        assert fail_times.using(retry_count=3).send(3).touch() == 4
        assert fail_times.using(retry_count=2).send(3).is_failure

    def test_what_is_sent_in_a_transaction_runs_at_its_commit(self, eager: Server):
        ran: list[int] = []
        eager.register_task("note", ran.append)
        with TestCase.captureOnCommitCallbacks(execute=True), transaction.atomic():
            send_task("note", args=[1])
            assert ran == []
        assert ran == [1]

    def test_a_result_that_the_store_cannot_hold_fails_the_task(self, eager: Server, monkeypatch: pytest.MonkeyPatch):
        set_states = eager.backend.set_states

        def refusing(changes: Sequence[StateChange]) -> list[bool]:
            if any(change.results for change in changes):
                raise BackendRefused("too precious")
            return set_states(changes)

        monkeypatch.setattr(eager.backend, "set_states", refusing)
        with pytest.raises(TaskFailed, match="cannot be stored: too precious"):
            add.send(1, 2).touch()

    def test_a_task_that_is_not_registered_is_an_error_of_the_sender(self, eager: Server):
        with pytest.raises(TaskNotRegistered, match="not registered here"):
            send_task("elsewhere")


@pytest.mark.django_db(transaction=True)
class TestNull:
    @pytest.fixture(autouse=True)
    def _worker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv(RECORD, str(tmp_path / "record"))
        machinery = {**settings_of("default", "push", "orm", tmp_path), "RESULT_BACKEND": "null"}
        with override_settings(MACHINERY={"default": machinery}), running(Worker(servers["default"], concurrency=2)):
            yield

    def test_tasks_groups_and_chains_run_and_call_back(self):
        record.send("task")
        send_group(Group(record.signature("member"), record.signature("member")))
        send_chain(Chain(add.signature(1, 2), record_all.partial("chain")))
        fail.using(on_error=[record_all.partial("alarm")]).send("broken")
        expected = ["broken+alarm", "chain+3", "member", "member", "task"]
        wait_until(lambda: sorted(recorded()) == expected, message=lambda: str(recorded()))

    def test_who_asks_for_a_result_is_told_that_there_will_be_none(self):
        with pytest.raises(BackendError, match="keeps no results"):
            noop.send().get()

    def test_a_chord_is_refused(self):
        with pytest.raises(BackendError, match="callback would never run"):
            send_chord(Chord(Group(noop.signature()), noop.signature()))
        assert recorded() == []
