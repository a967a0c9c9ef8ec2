"""The statements that run for each task, on every engine: with more rows than one statement takes."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connections
from django.test.utils import CaptureQueriesContext

from django_machinery.models import Message, TaskState
from django_machinery.models.sql import dialect_for
from django_machinery.models.sql.rows import NewMessage, NewTask, Step
from tests.databases import on_databases
from tests.waiting import wait_until

MANY = 1203
WORKER = 7


def sent(database: str, count: int) -> list[str]:
    uuids = [f"task_{number:04}" for number in range(count)]
    tasks = [NewTask(uuid, "default", "add", "q", 0, f'{{"UUID":"{uuid}"}}') for uuid in uuids]
    messages = [NewMessage(uuid, "q", "add", 0, 0, None, f'{{"UUID":"{uuid}"}}') for uuid in uuids]
    dialect_for(connections[database]).send(tasks, False, messages)
    return uuids


def steps_of(uuids: Sequence[str]) -> list[Step]:
    return [Step(uuid, "SUCCESS", results="[]", worker="w") for uuid in uuids]


def test_many_rows_are_sent_claimed_and_concluded(database: str):
    uuids = sent(database, MANY)
    messages = Message.objects.db_manager(database)
    claimed = messages.claim(WORKER, ["q"], MANY)
    assert [message.uuid for message in claimed] == uuids
    assert {message.claims for message in claimed} == {1}
    assert {message.body for message in claimed} == {f'{{"UUID":"{uuid}"}}' for uuid in uuids}
    fences = [(message.id, message.claims) for message in claimed]
    assert messages.conclude(WORKER, fences, steps_of(uuids))
    assert not messages.exists()
    assert TaskState.objects.using(database).filter(state="SUCCESS", results="[]").count() == MANY


def test_many_claims_are_given_back(database: str):
    sent(database, MANY)
    messages = Message.objects.db_manager(database)
    fences = [(message.id, message.claims) for message in messages.claim(WORKER, ["q"], MANY)]
    assert messages.give_back(WORKER + 1, fences) == 0
    assert messages.give_back(WORKER, fences) == MANY
    assert messages.filter(status=Message.Status.READY, claims=0, worker_id=None).count() == MANY


def test_one_fence_that_is_broken_undoes_the_batch(database: str):
    uuids = sent(database, 3)
    messages = Message.objects.db_manager(database)
    claimed = messages.claim(WORKER, ["q"], 3)
    fences = [(message.id, message.claims) for message in claimed]
    fences[1] = (fences[1][0], fences[1][1] + 1)
    assert not messages.conclude(WORKER, fences, steps_of(uuids))
    assert messages.count() == 3
    assert not TaskState.objects.using(database).exclude(state="PENDING").exists()


@on_databases("default")
class TestSQLite:
    def test_what_settles_reads_no_more_than_its_rows(self, database: str):
        sent(database, 3)
        connection = connections[database]
        messages = Message.objects.db_manager(database)
        fences = [(message.id, message.claims) for message in messages.claim(WORKER, ["q"], 3)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            messages.settle(WORKER, fences)
        (statement,) = [query["sql"] for query in queries if query["sql"].lstrip().startswith("DELETE")]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = [row[3] for row in cursor.fetchall()]
        assert plan[0] == "SEARCH machinery_message USING INTEGER PRIMARY KEY (rowid=?)"

    def test_a_writer_waits_for_its_turn_and_then_writes(self, database: str):
        sent(database, 1)
        messages = Message.objects.db_manager(database)
        found: list[str] = []
        claimer = threading.Thread(target=self.claim, args=(database, found))
        with self.locked(database):
            claimer.start()
            wait_until(claimer.is_alive, timeout=10)
            assert not found
        claimer.join(timeout=20)
        assert found == ["task_0000"]
        assert messages.get().status == Message.Status.CLAIMED

    def test_a_writer_waits_no_longer_than_its_connection_would(self, database: str):
        sent(database, 1)
        with self.locked(database):
            connection = connections[database]
            connection.connection.execute("PRAGMA busy_timeout = 50")
            with pytest.raises(OperationalError, match="locked"):
                Message.objects.db_manager(database).claim(WORKER, ["q"], 1)
            assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == (50,)

    @contextmanager
    def locked(self, database: str) -> Iterator[None]:
        """Another connection writes, for as long as the block lasts."""
        other = connections.create_connection(database)
        try:
            other.cursor().execute("BEGIN IMMEDIATE")
            yield
            other.cursor().execute("ROLLBACK")
        finally:
            other.close()

    def claim(self, database: str, found: list[str]) -> None:
        try:
            found += [message.uuid for message in Message.objects.db_manager(database).claim(WORKER, ["q"], 1)]
        finally:
            connections[database].close()
