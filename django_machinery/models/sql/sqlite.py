"""SQLite: one writer at a time, so that transactions are short: values are made before, and a batch is one statement.

Where a statement returns rows or is executed for many, Python gives its interpreter lock away for each of them and gets
it back when the threads that run tasks let it, while other processes wait for the lock of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from sqlite3 import SQLITE_BUSY, OperationalError
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeAlias

import msgspec

from django_machinery.models.sql.base import (
    CLAIMED_COLUMNS,
    FINAL_STATES,
    MESSAGE_COLUMNS,
    NEXT_DUE,
    TASK_COLUMNS,
    Dialect,
    NotAll,
    execute,
    fetch,
    naive,
)
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, Step
from django_machinery.protocol.states import FINAL

AGAIN = 0.001
"""Seconds between two attempts to write; SQLite itself waits up to a tenth of a second."""
ROWS = 500
"""Rows of one statement: SQLite bounds the parameters (32,766)."""

Values: TypeAlias = tuple[Any, ...]

_turn = Lock()
"""The threads of a process take turns by it, because SQLite would have them sleep and try again."""


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


_PUT_MESSAGE = f"""
INSERT INTO machinery_message ({", ".join(MESSAGE_COLUMNS)}) VALUES {{}}
ON CONFLICT (uuid) DO UPDATE SET
    queue = excluded.queue, name = excluded.name, status = excluded.status, rank_ = excluded.rank_,
    due_at = excluded.due_at, expires_at = NULL, body = excluded.body, claims = claims + 1, crashes = 0, suspect = 0,
    relay_to = excluded.relay_to, created_at = excluded.created_at
"""
_PUT_TASK = f"INSERT INTO machinery_task_state ({', '.join(TASK_COLUMNS)}) VALUES {{}}"
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
_AS_CLAIMED = ["claims + 1" if column == "claims" else column for column in CLAIMED_COLUMNS]
_WAITED = "(julianday({}) - julianday(due_at)) * 86400.0"
_CLAIMABLE = f"""
SELECT json_group_array(json_array(rank_, due_at, {", ".join(_AS_CLAIMED)}, {_WAITED})) FROM (
    SELECT * FROM machinery_message WHERE {{}} ORDER BY rank_, due_at, id LIMIT ?
)
"""
_CLAIM = "UPDATE machinery_message SET status = 2, worker_id = ?, claims = claims + 1 WHERE id IN ({})"
# The first condition finds the rows; the second alone would read the whole table.
_HELD = "id IN ({}) AND worker_id = ? AND (id, claims) IN (VALUES {})"
_SETTLE = f"DELETE FROM machinery_message WHERE {_HELD}"
_GIVE_BACK = f"UPDATE machinery_message SET status = {{}}, worker_id = NULL, claims = claims - 1 WHERE {_HELD}"
_STEP = f"""
UPDATE machinery_task_state SET
    state = new.column2, results = new.column3, error = new.column4, reason = new.column5, traceback = new.column6,
    attempt = COALESCE(new.column7, attempt), worker = new.column8, received_at = COALESCE(new.column9, received_at),
    started_at = COALESCE(new.column10, started_at), finished_at = new.column11
FROM (VALUES {{}}) AS new WHERE uuid = new.column1 AND state NOT IN {FINAL_STATES}
"""
_DUE = "status IN (1, 4) AND status = 1 AND due_at <= ?"
_PROMOTE = f"""
UPDATE machinery_message SET status = 0
WHERE id IN (SELECT id FROM machinery_message WHERE {_DUE} ORDER BY due_at LIMIT ?) RETURNING queue
"""


def _begin(raw: Any) -> None:
    """BEGIN IMMEDIATE, which waits for the lock as long as the connection would, but looks for it more often."""
    ((patience,),) = raw.execute("PRAGMA busy_timeout").fetchall()
    deadline = monotonic() + patience / 1000
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or monotonic() > deadline:
                    raise
            sleep(AGAIN)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {patience}")


class SQLite(Dialect):
    """SQLite 3.35 and later.

    Statements go past Django's cursor, which would rewrite their marks each time, unless somebody watches it.
    """

    def clock(self, offset: float = 0.0) -> str:
        return f"'{self._text(datetime.now(UTC) + timedelta(seconds=offset))}'"

    def put_messages(self, rows: Sequence[NewMessage]) -> None:
        self._put(_PUT_MESSAGE, self._message_values(rows))

    def put_tasks(self, rows: Sequence[NewTask]) -> None:
        self._put(_PUT_TASK + _ANEW, self._task_values(rows))

    def put_absent_tasks(self, rows: Sequence[NewTask]) -> set[str]:
        with self.transaction():
            absent = {row.uuid for row in rows} - self._present([row.uuid for row in rows])
            self._put(_PUT_TASK + _IF_ABSENT, self._task_values([row for row in rows if row.uuid in absent]))
        return absent

    def send(self, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]) -> None:
        new_tasks, new_messages = self._task_values(tasks), self._message_values(messages)
        with self.transaction():
            self._put(_PUT_TASK + (_IF_ABSENT if absent else _ANEW), new_tasks)
            self._put(_PUT_MESSAGE, new_messages)

    def claim(self, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        return self._claim(f"status = {status:d} AND queue = ?", [queue], worker_id, limit)

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        known = f"status = 3 AND name IN ({_places(names)}) AND queue IN ({_places(queues)})"
        return self._claim(known, [*names, *queues], worker_id, limit)

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        return self._execute_on_held(_SETTLE, worker_id, fences)

    def give_back(self, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        statement = _GIVE_BACK.format("3" if parked else "CASE WHEN suspect THEN 5 ELSE 0 END", "{}", "{}")
        return self._execute_on_held(statement, worker_id, fences)

    def step(self, rows: Sequence[Step]) -> int:
        return self._put(_STEP, self._step_values(rows))

    def conclude(self, worker_id: int, fences: Sequence[Fence], steps: Sequence[Step]) -> bool:
        values = self._step_values(steps)
        try:
            with self.transaction():
                if self.settle(worker_id, fences) < len(fences) or self._put(_STEP, values) < len(steps):
                    raise NotAll
        except NotAll:
            return False
        return True

    def next_due(self) -> float | None:
        now = naive(self.connection, datetime.now(UTC))
        return next(((due - now).total_seconds() for (due,) in self._fetch(NEXT_DUE.format("due_at"), [])), None)

    def promote(self, limit: int) -> list[str]:
        now = self._text(datetime.now(UTC))
        if not self._fetch(f"SELECT 1 FROM machinery_message WHERE {_DUE} LIMIT 1", [now]):
            return []
        return [queue for (queue,) in self._fetch(_PROMOTE, [now, limit])]

    def _message_values(self, rows: Sequence[NewMessage]) -> list[Values]:
        now = self._text(datetime.now(UTC))
        return [
            (uuid, queue, name, status, rank, now if due_at is None else self._text(due_at), body, relay_to, now)
            for uuid, queue, name, status, rank, due_at, body, relay_to in rows
        ]

    def _task_values(self, rows: Sequence[NewTask]) -> list[Values]:
        now = self._text(datetime.now(UTC))
        return [
            (uuid, server, name, queue, "PENDING", priority, body, self._text(eta), now, group, index, parent)
            for uuid, server, name, queue, priority, body, eta, group, index, parent in rows
        ]

    def _step_values(self, rows: Sequence[Step]) -> list[Values]:
        text, now = self._text, datetime.now(UTC)
        return [
            (*row[:8], text(row[8]), text(row[9]), text(row.finished_at or now if row.state in FINAL else None))
            for row in rows
        ]

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
        with self.transaction():
            ((found,),) = self._fetch(_CLAIMABLE.format(self.clock(), condition), [*parameters, limit])
            rows = msgspec.json.decode(found)
            self._execute(_CLAIM.format(", ".join(str(row[2]) for row in rows)), [worker_id])
        return [Claimed._make((*row[2:-2], bool(row[-2]), row[-1])) for row in sorted(rows)]

    def _text(self, moment: datetime | None) -> str | None:
        """A time as Django's SQLite keeps it."""
        if moment is None:
            return None
        if moment.tzinfo is UTC and self.connection.timezone is UTC:
            return moment.replace(tzinfo=None).isoformat(" ")  # as below, in a third of the time
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
            with _turn:
                _begin(raw)
                try:
                    yield
                    raw.execute("COMMIT")
                finally:
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")

    def _put(self, statement: str, rows: Sequence[Values]) -> int:
        """Returns how many rows were changed in all."""
        changed = 0
        with self.transaction():
            for start in range(0, len(rows), ROWS):
                chunk = rows[start : start + ROWS]
                places = ", ".join([f"({_places(chunk[0])})"] * len(chunk))
                changed += self._execute(statement.format(places), list(chain.from_iterable(chunk)))
        return changed

    def _execute_on_held(self, statement: str, worker_id: int, fences: Sequence[Fence]) -> int:
        changed = 0
        with self.transaction():
            for start in range(0, len(fences), ROWS):
                chunk = fences[start : start + ROWS]
                ids, held = ", ".join(f"{id:d}" for id, _ in chunk), ", ".join(f"({i:d}, {c:d})" for i, c in chunk)
                changed += self._execute(statement.format(ids, held), [worker_id])
        return changed

    def _execute(self, statement: str, parameters: Sequence[Any]) -> int:
        if self._watched:
            return execute(self.connection, statement.replace("?", "%s"), parameters)
        with self.connection.wrap_database_errors:
            changed: int = self._raw.execute(statement, parameters).rowcount
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
