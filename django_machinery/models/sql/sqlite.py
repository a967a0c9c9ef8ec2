"""SQLite: one writer at a time, no round trips, so a statement a row is as good as one a batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from django_machinery.models.sql.base import (
    CLAIMED_COLUMNS,
    FINAL_STATES,
    MESSAGE_COLUMNS,
    TASK_COLUMNS,
    Connection,
    Dialect,
    fetch,
    marks,
    naive,
)
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, Step
from django_machinery.protocol.states import FINAL

_PUT_MESSAGE = f"""
INSERT INTO machinery_message ({", ".join(MESSAGE_COLUMNS)}) VALUES ({marks(MESSAGE_COLUMNS)})
ON CONFLICT (uuid) DO UPDATE SET
    queue = excluded.queue, name = excluded.name, status = excluded.status, rank_ = excluded.rank_,
    due_at = excluded.due_at, expires_at = NULL, body = excluded.body, claims = claims + 1, crashes = 0, suspect = 0,
    relay_to = excluded.relay_to, created_at = excluded.created_at
"""
_PUT_TASK = f"""
INSERT INTO machinery_task_state ({", ".join(TASK_COLUMNS)}) VALUES ({marks(TASK_COLUMNS)})
"""
_ANEW = f"""
ON CONFLICT (uuid) DO UPDATE SET
    server = excluded.server, name = excluded.name, queue = excluded.queue, state = 'PENDING', reason = '',
    generation = generation + (state IN {FINAL_STATES}), attempt = 1, priority = excluded.priority,
    signature = excluded.signature, results = NULL, error = '', traceback = '', progress_done = NULL,
    progress_total = NULL, progress_note = '', worker = '', eta = excluded.eta, created_at = excluded.created_at,
    received_at = NULL, started_at = NULL, finished_at = NULL, group_uuid = excluded.group_uuid,
    group_index = excluded.group_index, parent_uuid = excluded.parent_uuid
"""
_IF_ABSENT = "ON CONFLICT (uuid) DO NOTHING"
# A unary plus takes the declared type off a column, which would make Python parse the time.
_CLAIM = f"""
UPDATE machinery_message SET status = 2, worker_id = %s, claims = claims + 1
WHERE id IN (SELECT id FROM machinery_message WHERE {{}} ORDER BY rank_, due_at, id LIMIT %s)
RETURNING rank_, +due_at, {", ".join(CLAIMED_COLUMNS)}
"""
_SETTLE = "DELETE FROM machinery_message WHERE id = %s AND claims = %s AND worker_id = %s"
_GIVE_BACK = """
UPDATE machinery_message SET status = {}, worker_id = NULL, claims = claims - 1
WHERE id = %s AND claims = %s AND worker_id = %s
"""
_STEP = f"""
UPDATE machinery_task_state SET
    state = %s, results = %s, error = %s, reason = %s, traceback = %s, attempt = COALESCE(%s, attempt), worker = %s,
    received_at = COALESCE(%s, received_at), started_at = COALESCE(%s, started_at), finished_at = %s
WHERE uuid = %s AND state NOT IN {FINAL_STATES}
"""
_DUE = "status IN (1, 4) AND status = 1 AND due_at <= %s"
_PROMOTE = f"""
UPDATE machinery_message SET status = 0
WHERE id IN (SELECT id FROM machinery_message WHERE {_DUE} ORDER BY due_at LIMIT %s) RETURNING queue
"""


class SQLite(Dialect):
    """SQLite 3.35 and later."""

    def clock(self, connection: Connection, offset: float = 0.0) -> str:
        return f"'{_text(connection, datetime.now(UTC) + timedelta(seconds=offset))}'"

    def put_messages(self, connection: Connection, rows: Sequence[NewMessage]) -> None:
        now = _text(connection, datetime.now(UTC))
        values = [
            (uuid, queue, name, status, rank, _text(connection, due_at) or now, body, relay_to, now)
            for uuid, queue, name, status, rank, due_at, body, relay_to in rows
        ]
        _execute_many(connection, _PUT_MESSAGE, values)

    def put_tasks(self, connection: Connection, rows: Sequence[NewTask]) -> None:
        self._put_tasks(connection, rows, _ANEW)

    def put_absent_tasks(self, connection: Connection, rows: Sequence[NewTask]) -> set[str]:
        with transaction.atomic(using=connection.alias, savepoint=False):
            uuids = {row.uuid for row in rows}
            absent = uuids - _present(connection, uuids)
            self._put_tasks(connection, [row for row in rows if row.uuid in absent], _IF_ABSENT)
        return absent

    def send(
        self, connection: Connection, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]
    ) -> None:
        with transaction.atomic(using=connection.alias, savepoint=False):
            self._put_tasks(connection, tasks, _IF_ABSENT if absent else _ANEW)
            self.put_messages(connection, messages)

    def claim(self, connection: Connection, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        return self._claim(connection, f"status = {status:d} AND queue = %s", [queue], worker_id, limit)

    def claim_parked(
        self, connection: Connection, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int
    ) -> list[Claimed]:
        known = f"status = 3 AND name IN ({marks(names)}) AND queue IN ({marks(queues)})"
        return self._claim(connection, known, [*names, *queues], worker_id, limit)

    def settle(self, connection: Connection, worker_id: int, fences: Sequence[Fence]) -> int:
        return _execute_many(connection, _SETTLE, [(id, claims, worker_id) for id, claims in fences])

    def give_back(self, connection: Connection, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        statement = _GIVE_BACK.format("3" if parked else "CASE WHEN suspect THEN 5 ELSE 0 END")
        return _execute_many(connection, statement, [(id, claims, worker_id) for id, claims in fences])

    def step(self, connection: Connection, rows: Sequence[Step]) -> int:
        now = _text(connection, datetime.now(UTC))
        values = [
            (
                *row[1:8],
                _text(connection, row.received_at),
                _text(connection, row.started_at),
                (_text(connection, row.finished_at) or now) if row.state in FINAL else None,
                row.uuid,
            )
            for row in rows
        ]
        return _execute_many(connection, _STEP, values)

    def promote(self, connection: Connection, limit: int) -> list[str]:
        now = _text(connection, datetime.now(UTC))
        if not fetch(connection, f"SELECT 1 FROM machinery_message WHERE {_DUE} LIMIT 1", [now]):
            return []
        return [queue for (queue,) in fetch(connection, _PROMOTE, [now, limit])]

    def _put_tasks(self, connection: Connection, rows: Sequence[NewTask], conflict: str) -> None:
        now = _text(connection, datetime.now(UTC))
        values = [
            (
                uuid,
                server,
                name,
                queue,
                "PENDING",
                priority,
                signature,
                _text(connection, eta),
                now,
                group,
                index,
                parent,
            )
            for uuid, server, name, queue, priority, signature, eta, group, index, parent in rows
        ]
        _execute_many(connection, _PUT_TASK + conflict, values)

    def _claim(
        self, connection: Connection, condition: str, parameters: list[Any], worker_id: int, limit: int
    ) -> list[Claimed]:
        """Look first: an update waits for its turn to write even if it then finds nothing to do."""
        if not fetch(connection, f"SELECT 1 FROM machinery_message WHERE {condition} LIMIT 1", parameters):
            return []
        rows = fetch(connection, _CLAIM.format(condition), [worker_id, *parameters, limit])
        return [Claimed._make((*row[2:-1], bool(row[-1]))) for row in sorted(rows)]


def _execute_many(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """In one transaction; returns how many rows were changed in all."""
    if not rows:
        return 0
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        cursor.executemany(statement, rows)
        changed: int = cursor.rowcount
        return changed


def _present(connection: Connection, uuids: set[str]) -> set[str]:
    """Which of these tasks have a row."""
    asked = list(uuids)
    found: set[str] = set()
    for start in range(0, len(asked), 500):
        chunk = asked[start : start + 500]
        rows = fetch(connection, f"SELECT uuid FROM machinery_task_state WHERE uuid IN ({marks(chunk)})", chunk)
        found.update(uuid for (uuid,) in rows)
    return found


def _text(connection: Connection, moment: datetime | None) -> str | None:
    """A time as Django's SQLite keeps it."""
    return None if moment is None else naive(connection, moment).isoformat(" ")
