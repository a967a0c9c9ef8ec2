"""SQLite: one writer at a time, no round trips, so a statement a row is as good as one a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django_machinery.models.sql.base import (
    CLAIMED_COLUMNS,
    FINAL_STATES,
    MESSAGE_COLUMNS,
    TASK_COLUMNS,
    Dialect,
    fetch,
    naive,
)
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, Step
from django_machinery.protocol.states import FINAL


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


_PUT_MESSAGE = f"""
INSERT INTO machinery_message ({", ".join(MESSAGE_COLUMNS)}) VALUES ({_places(MESSAGE_COLUMNS)})
ON CONFLICT (uuid) DO UPDATE SET
    queue = excluded.queue, name = excluded.name, status = excluded.status, rank_ = excluded.rank_,
    due_at = excluded.due_at, expires_at = NULL, body = excluded.body, claims = claims + 1, crashes = 0, suspect = 0,
    relay_to = excluded.relay_to, created_at = excluded.created_at
"""
_PUT_TASK = f"""
INSERT INTO machinery_task_state ({", ".join(TASK_COLUMNS)}) VALUES ({_places(TASK_COLUMNS)})
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
UPDATE machinery_message SET status = 2, worker_id = ?, claims = claims + 1
WHERE id IN (SELECT id FROM machinery_message WHERE {{}} ORDER BY rank_, due_at, id LIMIT ?)
RETURNING rank_, +due_at, {", ".join(CLAIMED_COLUMNS)}, (julianday({{}}) - julianday(due_at)) * 86400.0
"""
_SETTLE = "DELETE FROM machinery_message WHERE id = ? AND claims = ? AND worker_id = ?"
_GIVE_BACK = """
UPDATE machinery_message SET status = {}, worker_id = NULL, claims = claims - 1
WHERE id = ? AND claims = ? AND worker_id = ?
"""
_STEP = f"""
UPDATE machinery_task_state SET
    state = ?, results = ?, error = ?, reason = ?, traceback = ?, attempt = COALESCE(?, attempt), worker = ?,
    received_at = COALESCE(?, received_at), started_at = COALESCE(?, started_at), finished_at = ?
WHERE uuid = ? AND state NOT IN {FINAL_STATES}
"""
_DUE = "status IN (1, 4) AND status = 1 AND due_at <= ?"
_PROMOTE = f"""
UPDATE machinery_message SET status = 0
WHERE id IN (SELECT id FROM machinery_message WHERE {_DUE} ORDER BY due_at LIMIT ?) RETURNING queue
"""


class SQLite(Dialect):
    """SQLite 3.35 and later.

    Statements go past Django's cursor, which would rewrite their marks each time, unless somebody watches it.
    """

    def clock(self, offset: float = 0.0) -> str:
        return f"'{self._text(datetime.now(UTC) + timedelta(seconds=offset))}'"

    def put_messages(self, rows: Sequence[NewMessage]) -> None:
        now = self._text(datetime.now(UTC))
        values = [
            (uuid, queue, name, status, rank, now if due_at is None else self._text(due_at), body, relay_to, now)
            for uuid, queue, name, status, rank, due_at, body, relay_to in rows
        ]
        with self.transaction():
            self._execute_many(_PUT_MESSAGE, values)

    def put_tasks(self, rows: Sequence[NewTask]) -> None:
        self._put_tasks(rows, _ANEW)

    def put_absent_tasks(self, rows: Sequence[NewTask]) -> set[str]:
        with self.transaction():
            absent = {row.uuid for row in rows} - self._present([row.uuid for row in rows])
            self._put_tasks([row for row in rows if row.uuid in absent], _IF_ABSENT)
        return absent

    def send(self, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]) -> None:
        with self.transaction():
            self._put_tasks(tasks, _IF_ABSENT if absent else _ANEW)
            self.put_messages(messages)

    def claim(self, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        return self._claim(f"status = {status:d} AND queue = ?", [queue], worker_id, limit)

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        known = f"status = 3 AND name IN ({_places(names)}) AND queue IN ({_places(queues)})"
        return self._claim(known, [*names, *queues], worker_id, limit)

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        with self.transaction():
            return self._execute_many(_SETTLE, [(id, claims, worker_id) for id, claims in fences])

    def give_back(self, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        statement = _GIVE_BACK.format("3" if parked else "CASE WHEN suspect THEN 5 ELSE 0 END")
        with self.transaction():
            return self._execute_many(statement, [(id, claims, worker_id) for id, claims in fences])

    def step(self, rows: Sequence[Step]) -> int:
        with self.transaction():
            return self._execute_many(_STEP, [self._step(row) for row in rows])

    def promote(self, limit: int) -> list[str]:
        now = self._text(datetime.now(UTC))
        if not self._fetch(f"SELECT 1 FROM machinery_message WHERE {_DUE} LIMIT 1", [now]):
            return []
        return [queue for (queue,) in self._fetch(_PROMOTE, [now, limit])]

    def _put_tasks(self, rows: Sequence[NewTask], conflict: str) -> None:
        now = self._text(datetime.now(UTC))
        values = [
            (uuid, server, name, queue, "PENDING", priority, body, self._text(eta), now, group, index, parent)
            for uuid, server, name, queue, priority, body, eta, group, index, parent in rows
        ]
        with self.transaction():
            self._execute_many(_PUT_TASK + conflict, values)

    def _present(self, uuids: Sequence[str]) -> set[str]:
        """Which of these tasks have a row."""
        found: set[str] = set()
        for start in range(0, len(uuids), 500):
            chunk = uuids[start : start + 500]
            rows = self._fetch(f"SELECT uuid FROM machinery_task_state WHERE uuid IN ({_places(chunk)})", chunk)
            found.update(uuid for (uuid,) in rows)
        return found

    def _claim(self, condition: str, parameters: list[Any], worker_id: int, limit: int) -> list[Claimed]:
        """Look first: an update waits for its turn to write even if it then finds nothing to do."""
        if not self._fetch(f"SELECT 1 FROM machinery_message WHERE {condition} LIMIT 1", parameters):
            return []
        rows = self._fetch(_CLAIM.format(condition, self.clock()), [worker_id, *parameters, limit])
        return [Claimed._make((*row[2:-2], bool(row[-2]), row[-1])) for row in sorted(rows)]

    def _step(self, row: Step) -> tuple[Any, ...]:
        finished_at = row.finished_at or datetime.now(UTC) if row.state in FINAL else None
        return (*row[1:8], self._text(row.received_at), self._text(row.started_at), self._text(finished_at), row.uuid)

    def _text(self, moment: datetime | None) -> str | None:
        """A time as Django's SQLite keeps it."""
        if moment is None:
            return None
        if moment.tzinfo is UTC and self.connection.timezone is UTC:
            return moment.isoformat(" ")[:-6]  # as below, in a third of the time
        return naive(self.connection, moment).isoformat(" ")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The caller's transaction, or one that begins as a writer, whatever the settings say."""
        if self.connection.in_atomic_block or not self.connection.get_autocommit():
            yield
            return
        with self.connection.wrap_database_errors:
            raw = self.connection.connection
            if raw.in_transaction:
                yield
                return
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield
                raw.execute("COMMIT")
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")

    def _execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Returns how many rows were changed in all."""
        changed: int = 0
        if rows and self._watched:
            with self.connection.cursor() as cursor:
                cursor.executemany(statement.replace("?", "%s"), rows)
                changed = cursor.rowcount
        elif rows:
            with self.connection.wrap_database_errors:
                changed = self._raw.executemany(statement, rows).rowcount
        return changed

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._watched:
            return fetch(self.connection, statement.replace("?", "%s"), parameters)
        with self.connection.wrap_database_errors:
            return list(self._raw.execute(statement, parameters).fetchall())

    @property
    def _watched(self) -> bool:
        return bool(self.connection.queries_logged or self.connection.execute_wrappers)

    @property
    def _raw(self) -> Any:
        self.connection.ensure_connection()
        return self.connection.connection
