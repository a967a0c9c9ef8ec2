"""The floor on SQLite: one transaction claims a batch, one commits a batch, and writers queue up for their turn."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.benchmarks.contenders.floor import Floor, FloorWorker, Outcome, main
from tests.benchmarks.target import Target

CREATE = """
CREATE TABLE message (
    id integer PRIMARY KEY AUTOINCREMENT, queue text NOT NULL, priority integer NOT NULL DEFAULT 0,
    due_at real NOT NULL DEFAULT 0, body text NOT NULL, worker integer, claims integer NOT NULL DEFAULT 0
);
CREATE INDEX message_claim ON message (queue, priority DESC, id) WHERE worker IS NULL;
CREATE TABLE state (
    uuid text PRIMARY KEY, name text NOT NULL, state text NOT NULL, results text, error text NOT NULL DEFAULT '',
    created_at real NOT NULL, finished_at real
);
CREATE INDEX state_state ON state (state, created_at);
CREATE INDEX state_name ON state (name, created_at);
"""
INSERT_MESSAGE = "INSERT INTO message (queue, body) VALUES (?, ?)"
INSERT_STATE = "INSERT INTO state (uuid, name, state, created_at) VALUES (?, 'add', 'PENDING', ?)"
CLAIM = """
UPDATE message SET worker = ?, claims = claims + 1 WHERE id IN (
    SELECT id FROM message WHERE worker IS NULL AND queue = 'measured' AND due_at <= ?
    ORDER BY priority DESC, id LIMIT ?
) RETURNING id, body
"""
SETTLE = "DELETE FROM message WHERE worker = ? AND id IN (%s)"
STORE = "UPDATE state SET state = 'SUCCESS', results = ?, finished_at = ? WHERE uuid = ?"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class SqliteFloor(Floor):
    def __init__(self) -> None:
        self._connection = Target.of_environment().connect_sqlite()

    def create(self) -> None:
        self._connection.executescript(CREATE)

    def insert(self, queue: str, uuids: Sequence[str], bodies: Sequence[str]) -> None:
        now = time.time()
        with transaction(self._connection) as connection:
            connection.executemany(INSERT_MESSAGE, [(queue, body) for body in bodies])
            connection.executemany(INSERT_STATE, [(uuid, now) for uuid in uuids])

    def waiting(self) -> int:
        return self._count("SELECT count(*) FROM message")

    def drained(self) -> bool:
        return self._connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None

    def ended_well(self) -> int:
        return self._count("SELECT count(*) FROM state WHERE state = 'SUCCESS' AND results IS NOT NULL")

    def has_result(self, uuid: str) -> bool:
        query = "SELECT 1 FROM state WHERE uuid = ? AND state = 'SUCCESS'"
        return self._connection.execute(query, (uuid,)).fetchone() is not None

    def _count(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])


class SqliteFloorWorker(FloorWorker):
    def __init__(self) -> None:
        super().__init__()
        target = Target.of_environment()
        self._claiming, self._committing = target.connect_sqlite(), target.connect_sqlite()

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        with transaction(self._claiming) as connection:
            return connection.execute(CLAIM, (os.getpid(), time.time(), limit)).fetchall()

    def commit(self, outcomes: Sequence[Outcome]) -> int:
        now = time.time()
        marks = ",".join("?" * len(outcomes))
        with transaction(self._committing) as connection:
            settled = connection.execute(SETTLE % marks, (os.getpid(), *[each.message for each in outcomes])).rowcount
            connection.executemany(STORE, [(each.results, now, each.uuid) for each in outcomes])
        return settled


if __name__ == "__main__":
    main(SqliteFloor, SqliteFloorWorker)
