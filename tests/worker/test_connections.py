"""Database connections of the threads that run tasks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from queue import Queue
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.utils import OperationalError

from django_machinery.worker import connections as module
from django_machinery.worker.connections import ThreadConnections
from tests.app.models import Account
from tests.databases import on_databases

pytestmark = pytest.mark.usefixtures("transactional_db")


class TaskThread:
    """A thread that runs one function after the other, as a pool's does."""

    def __init__(self) -> None:
        self._functions: Queue[Any] = Queue()
        self._answers: Queue[Any] = Queue()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def run(self, function: Callable[[], Any]) -> Any:
        self._functions.put(function)
        answer = self._answers.get(timeout=10)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self._functions.put(None)
        self._thread.join()

    def _serve(self) -> None:
        database = ThreadConnections()
        while (function := self._functions.get()) is not None:
            database.before_task()
            try:
                answer = function()
            except Exception as error:
                answer = error
            database.after_task()
            self._answers.put(answer)
        database.close()


@pytest.fixture
def thread() -> Iterator[TaskThread]:
    thread = TaskThread()
    yield thread
    thread.close()


def raw() -> Any:
    """The driver's connection, opened if need be."""
    connections["default"].ensure_connection()
    return connections["default"].connection


def query() -> Any:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def test_a_connection_lives_across_tasks(thread: TaskThread):
    assert thread.run(raw) is thread.run(raw)


def test_a_task_without_a_database_opens_no_connection(thread: TaskThread):
    thread.run(lambda: None)
    assert thread.run(lambda: connections["default"].connection) is None


def test_the_log_of_queries_ends_with_the_task(thread: TaskThread, settings: Any):
    settings.DEBUG = True
    thread.run(query)
    assert thread.run(lambda: list(connections["default"].queries_log)) == []


def test_a_transaction_that_a_task_leaves_open_ends_with_it(thread: TaskThread):
    def leave_open() -> Any:
        transaction.atomic().__enter__()
        query()
        return raw()

    before = thread.run(leave_open)
    assert thread.run(lambda: connections["default"].in_atomic_block) is False
    assert thread.run(raw) is not before
    assert thread.run(query) == 1


@on_databases()
@pytest.mark.parametrize("error", [False, True])
def test_a_transaction_that_django_does_not_know_of_ends_too(
    thread: TaskThread, database: str, error: bool, caplog: pytest.LogCaptureFixture
):
    def begin() -> None:
        with connections[database].cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE" if database == "default" else "BEGIN")
            cursor.execute(f"INSERT INTO {Account._meta.db_table} (name, balance) VALUES ('lost', 1)")
            if error:
                cursor.execute("SELECT nothing FROM nowhere")

    def names() -> list[str]:
        return list(Account.objects.using(database).values_list("name", flat=True))

    with pytest.raises(DatabaseError) if error else nullcontext():
        thread.run(begin)
    Account.objects.using(database).create(name="other")  # which SQLite would not let anybody, for now
    assert thread.run(names) == ["other"]
    assert caplog.messages == [f"A task left a transaction open on {database!r}, which is rolled back"]


def test_autocommit_that_a_task_turns_off_is_back_for_the_next(thread: TaskThread):
    thread.run(lambda: transaction.set_autocommit(False))
    assert thread.run(transaction.get_autocommit) is True
    assert thread.run(query) == 1


def test_an_error_of_one_statement_costs_no_connection(thread: TaskThread):
    def err() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    before = thread.run(raw)
    with pytest.raises(OperationalError):
        thread.run(err)
    assert thread.run(raw) is before


def test_an_age_that_the_settings_name_is_respected(thread: TaskThread):
    def open_with_age() -> Any:
        connections["default"].settings_dict["CONN_MAX_AGE"] = 0.001
        connections["default"].close()
        try:
            return raw()
        finally:
            time.sleep(0.01)

    before = thread.run(open_with_age)
    try:
        assert thread.run(raw) is not before
    finally:
        connections["default"].settings_dict["CONN_MAX_AGE"] = 0


@on_databases("postgres")
class TestServer:
    """SQLite's connections cannot break."""

    def test_a_connection_that_breaks_in_a_task_is_not_given_to_the_next(self, thread: TaskThread, database: str):
        def lose() -> None:
            terminate(database, self.pid(database))
            self.pid(database)

        with pytest.raises(OperationalError):
            thread.run(lose)
        assert thread.run(lambda: self.pid(database))

    def test_a_connection_that_dies_between_tasks_is_found_out(
        self, thread: TaskThread, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(module, "CHECK_AGE", 0.0)
        pid = thread.run(lambda: self.pid(database))
        assert thread.run(lambda: self.pid(database)) == pid
        terminate(database, pid)
        assert thread.run(lambda: self.pid(database)) != pid

    @staticmethod
    def pid(database: str) -> int:
        """The server's process behind the connection of this thread."""
        with connections[database].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])


def terminate(database: str, pid: int) -> None:
    """Let the server drop a connection."""
    other = connections[database].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        other.close()
