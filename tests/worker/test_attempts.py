"""Runs that did not succeed are written down for operators, whatever the result backend."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, OperationalError, connections
from django.test.utils import CaptureQueriesContext

from django_machinery import Worker, control, send_task
from django_machinery.inspector import Inspector
from django_machinery.models import Attempt
from django_machinery.models.attempt import AttemptManager
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.seams import backend as seam
from django_machinery.server import Server
from django_machinery.worker import attempts as module
from django_machinery.worker.attempts import Attempts
from django_machinery.worker.outcomes import TaskOutcome
from tests.databases import on_databases
from tests.services.redis_stores import Stores, redis_stores
from tests.waiting import wait_until
from tests.worker.support import database_server, running
from tests.worker.test_tally import outcome

__all__ = ["redis_stores"]

pytestmark = on_databases("default", "postgres")


@pytest.fixture
def elsewhere(database: str, redis_stores: Stores) -> Iterator[Server]:
    """A server that has nothing in the database but what operators read."""
    store = redis_stores.get("tcp")
    with database_server(database, **dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), store.url)) as server:
        yield server
    store.flush()


def failed(number: int = 1, **fields: Any) -> TaskOutcome:
    run = seam.Attempt(number, "error", None, datetime.now(UTC), **{"exception": "ValueError", **fields})
    return outcome(FAILURE, attempt=run)


def rows(database: str) -> list[tuple[int, str]]:
    return list(Attempt.objects.using(database).order_by("number").values_list("number", "exception"))


def test_a_failure_of_a_task_on_redis_is_found_with_its_traceback(elsewhere: Server, database: str):
    elsewhere.register_task("fail", lambda: 1 // 0)
    result = send_task("fail")
    with running(Worker(elsewhere, concurrency=1)):
        wait_until(Attempt.objects.using(database).exists, timeout=20)
    (row,) = Attempt.objects.using(database).all()
    assert (row.uuid, row.name, row.number, row.outcome) == (result.uuid, "fail", 1, "error")
    assert "ZeroDivisionError" in row.traceback
    assert row.worker
    assert row.started_at
    (group,) = Inspector(elsewhere).failures()
    assert (group.name, group.exception, group.hour, group.newest_uuid) == ("fail", "ZeroDivisionError", 1, result.uuid)
    assert control.delete(elsewhere, [result.uuid]) == 1
    assert not Attempt.objects.using(database).exists()


def test_what_was_committed_last_is_written_before_the_worker_ends(elsewhere: Server, database: str):
    def fail() -> None:
        worker.stop()
        raise ValueError

    elsewhere.register_task("fail", fail)
    send_task("fail")
    worker = Worker(elsewhere, concurrency=1)
    worker.run()
    assert rows(database) == [(1, "ValueError")]


class TestWriting:
    @pytest.fixture
    def server(self, database: str) -> Iterator[Server]:
        with database_server(database, RESULT_BACKEND="eager://") as server:
            yield server

    def test_success_costs_nothing(self, server: Server, database: str):
        attempts = Attempts(server)
        attempts.ended(outcome(SUCCESS))
        with CaptureQueriesContext(connections[database]) as queries:
            attempts.store()
        assert not queries

    def test_a_backend_that_keeps_them_itself_is_left_to_it(self, database: str):
        with database_server(database) as server:
            attempts = Attempts(server)
            attempts.ended(failed())
            attempts.store()
        assert rows(database) == []

    def test_one_that_comes_again_after_a_crash_is_written_once(self, server: Server, database: str):
        attempts = Attempts(server)
        for exception in ("ValueError", "KeyError"):
            attempts.ended(failed(exception=exception))
            attempts.store()
        assert rows(database) == [(1, "ValueError")]

    def test_nothing_is_lost_while_the_database_is_away(
        self, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        attempts = Attempts(server)
        with monkeypatch.context() as away:
            away.setattr(AttemptManager, "record", _raises(OperationalError("away")))
            for number in (1, 2):
                attempts.ended(failed(number))
                with pytest.raises(OperationalError):
                    attempts.store()
        attempts.store()
        assert rows(database) == [(1, "ValueError"), (2, "ValueError")]

    def test_while_it_stays_away_the_oldest_are_forgotten(
        self, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(module, "MOST", 3)
        attempts = Attempts(server)
        for number in range(10):
            attempts.ended(failed(number))
        attempts.store()
        assert [number for number, _ in rows(database)] == [7, 8, 9]

    def test_what_the_database_refuses_holds_up_nothing(
        self, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        attempts = Attempts(server)
        with monkeypatch.context() as refusing:
            refusing.setattr(AttemptManager, "record", _raises(DataError("no")))
            attempts.ended(failed(1))
            attempts.store()
        attempts.ended(failed(2))
        attempts.store()
        assert rows(database) == [(2, "ValueError")]

    def test_any_text_fits(self, server: Server, database: str):
        attempts = Attempts(server)
        attempts.ended(failed(exception="x" * 300, error="nul \0", traceback="lone \ud800"))
        attempts.store()
        assert len(rows(database)) == 1


def _raises(error: Exception) -> Any:
    def record(*_: Any) -> None:
        raise error

    return record
