"""The floor on PostgreSQL: one statement claims a batch, one commits a batch, each durable when it returns."""

import os
from collections.abc import Sequence
from typing import Any

import psycopg

from tests.benchmarks.contenders.floor import Floor, FloorWorker, Outcome, main
from tests.benchmarks.target import Target

CREATE = """
CREATE TABLE message (
    id bigserial PRIMARY KEY, queue text NOT NULL, priority smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(), body text NOT NULL, worker bigint, claims smallint NOT NULL DEFAULT 0
);
CREATE INDEX message_claim ON message (queue, priority DESC, id) WHERE worker IS NULL;
CREATE TABLE state (
    uuid text PRIMARY KEY, name text NOT NULL, state text NOT NULL, results text, error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz
);
CREATE INDEX state_state ON state (state, created_at);
CREATE INDEX state_name ON state (name, created_at);
"""
INSERT = """
WITH sent AS (INSERT INTO message (queue, body) SELECT %s, unnest(%s::text[]))
INSERT INTO state (uuid, name, state) SELECT unnest(%s::text[]), 'add', 'PENDING'
"""
# The commit of a claim need not wait for the disk: a claim that a crash of the server undoes is made again.
CLAIM = """
WITH next AS (
    SELECT id FROM message WHERE worker IS NULL AND queue = 'measured' AND due_at <= now()
    ORDER BY priority DESC, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE message SET worker = %s, claims = claims + 1
FROM next, (SELECT set_config('synchronous_commit', 'off', true)) AS without_sync WHERE message.id = next.id
RETURNING message.id, message.body
"""
COMMIT = """
WITH ended AS (SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS ended (id, uuid, results)),
settled AS (
    DELETE FROM message USING ended WHERE message.id = ended.id AND message.worker = %s
    RETURNING ended.uuid, ended.results
)
UPDATE state SET state = 'SUCCESS', results = settled.results, finished_at = now()
FROM settled WHERE state.uuid = settled.uuid
"""


def connect() -> psycopg.Connection[Any]:
    return psycopg.connect(Target.of_environment().dsn, autocommit=True)


class PostgresFloor(Floor):
    def __init__(self) -> None:
        self._connection = connect()

    def create(self) -> None:
        self._connection.execute(CREATE)

    def insert(self, queue: str, uuids: Sequence[str], bodies: Sequence[str]) -> None:
        self._connection.execute(INSERT, (queue, list(bodies), list(uuids)))

    def waiting(self) -> int:
        return self._count("SELECT count(*) FROM message")

    def drained(self) -> bool:
        return self._connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None

    def ended_well(self) -> int:
        return self._count("SELECT count(*) FROM state WHERE state = 'SUCCESS' AND results IS NOT NULL")

    def has_result(self, uuid: str) -> bool:
        query = "SELECT 1 FROM state WHERE uuid = %s AND state = 'SUCCESS'"
        return self._connection.execute(query, (uuid,)).fetchone() is not None

    def _count(self, query: str) -> int:
        row = self._connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0


class PostgresFloorWorker(FloorWorker):
    def __init__(self) -> None:
        super().__init__()
        self._claiming, self._committing = connect(), connect()

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        return self._claiming.execute(CLAIM, (limit, os.getpid())).fetchall()

    def commit(self, outcomes: Sequence[Outcome]) -> int:
        columns = [list(column) for column in zip(*outcomes, strict=True)]
        return self._committing.execute(COMMIT, (*columns, os.getpid())).rowcount


if __name__ == "__main__":
    main(PostgresFloor, PostgresFloorWorker)
