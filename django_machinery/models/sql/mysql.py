"""MySQL 8 and MariaDB 10.6, or later, at READ COMMITTED: no UPDATE returns rows, so they are locked, then changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction

from django_machinery.models.sql.base import (
    CLAIMED_COLUMNS,
    FINAL_STATES,
    MESSAGE_COLUMNS,
    NEXT_DUE,
    TASK_COLUMNS,
    Connection,
    Dialect,
    execute,
    fetch,
    marks,
    naive,
)
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, Step
from django_machinery.protocol.states import FINAL

_CHUNK = 500

_PUT_MESSAGES = f"INSERT INTO machinery_message ({', '.join(MESSAGE_COLUMNS)}) VALUES {{}}"
_REPLACE = """
ON DUPLICATE KEY UPDATE
    queue = VALUES(queue), name = VALUES(name), status = VALUES(status), rank_ = VALUES(rank_),
    due_at = VALUES(due_at), expires_at = NULL, body = VALUES(body), claims = claims + 1, crashes = 0, suspect = 0,
    relay_to = VALUES(relay_to), created_at = VALUES(created_at)
"""
_PUT_TASKS = f"INSERT INTO machinery_task_state ({', '.join(TASK_COLUMNS)}) VALUES {{}}"
# Assignments are made from left to right: the state must be read before it is written.
_ANEW = f"""
ON DUPLICATE KEY UPDATE
    generation = generation + (state IN {FINAL_STATES}), server = VALUES(server), name = VALUES(name),
    queue = VALUES(queue), state = 'PENDING', reason = '', attempt = 1, priority = VALUES(priority),
    signature = VALUES(signature), results = NULL, error = '', traceback = '', progress_done = NULL,
    progress_total = NULL, progress_note = '', worker = '', eta = VALUES(eta), created_at = VALUES(created_at),
    received_at = NULL, started_at = NULL, finished_at = NULL, group_uuid = VALUES(group_uuid),
    group_index = VALUES(group_index), parent_uuid = VALUES(parent_uuid)
"""
_CHOOSE = f"""
SELECT {", ".join(CLAIMED_COLUMNS)}, TIMESTAMPDIFF(MICROSECOND, due_at, {{}}) FROM machinery_message WHERE {{}}
ORDER BY rank_, due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_CLAIM = "UPDATE machinery_message SET status = 2, worker_id = %s, claims = claims + 1 WHERE id IN ({})"
_HELD = "SELECT id, claims FROM machinery_message WHERE id IN ({}) AND worker_id = %s ORDER BY id FOR UPDATE"
_PRESENT = "SELECT uuid FROM machinery_task_state WHERE uuid IN ({})"
_OPEN = f"""
SELECT uuid FROM machinery_task_state WHERE uuid IN ({{}}) AND state NOT IN {FINAL_STATES} ORDER BY uuid FOR UPDATE
"""
_STEP_COLUMNS = (
    *("uuid", "state", "results", "error", "reason", "traceback", "attempt", "worker"),
    *("received_at", "started_at", "finished_at", "server", "name", "queue", "signature", "created_at"),
)
# An upsert of rows that are all there, because it takes a batch, which UPDATE does not.
_STEP = f"""
INSERT INTO machinery_task_state ({", ".join(_STEP_COLUMNS)}) VALUES {{}}
ON DUPLICATE KEY UPDATE
    state = VALUES(state), results = VALUES(results), error = VALUES(error), reason = VALUES(reason),
    traceback = VALUES(traceback), attempt = IF(VALUES(attempt) > 0, VALUES(attempt), attempt),
    worker = VALUES(worker), received_at = COALESCE(VALUES(received_at), received_at),
    started_at = COALESCE(VALUES(started_at), started_at), finished_at = VALUES(finished_at)
"""
_DUE = """
SELECT id, queue FROM machinery_message WHERE status = 1 AND due_at <= {}
ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
"""


class MySQL(Dialect):
    """MySQL and MariaDB."""

    skip_locked = "FOR UPDATE SKIP LOCKED"

    def clock(self, offset: float = 0.0) -> str:
        present = datetime.now(UTC)
        zone = naive(self.connection, present) - present.replace(tzinfo=None)
        return f"(UTC_TIMESTAMP(6) + INTERVAL {round((zone.total_seconds() + offset) * 1e6)} MICROSECOND)"

    def put_messages(self, rows: Sequence[NewMessage]) -> None:
        place = "(%s, %s, %s, %s, %s, COALESCE(%s, {0}), %s, %s, {0})".format(self.clock())
        values = [(*row[:5], _time(self.connection, row.due_at), *row[6:]) for row in rows]
        _insert(self.connection, _PUT_MESSAGES, place, _REPLACE, values)

    def put_tasks(self, rows: Sequence[NewTask]) -> None:
        self._put_tasks(rows, _ANEW)

    def put_absent_tasks(self, rows: Sequence[NewTask]) -> set[str]:
        present = set(_column(self.connection, _PRESENT, [row.uuid for row in rows]))
        absent = [row for row in rows if row.uuid not in present]
        try:
            with transaction.atomic(using=self.connection.alias):
                self._put_tasks(absent, "")
        except IntegrityError:  # somebody was faster with one of them
            return {row.uuid for row in absent if self._put_one(row)}
        return {row.uuid for row in absent}

    def send(self, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]) -> None:
        with self.transaction():
            (self.put_absent_tasks if absent else self.put_tasks)(tasks)
            self.put_messages(messages)

    def claim(self, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        return self._claim(f"status = {status:d} AND queue = %s", [queue], worker_id, limit)

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        known = f"status = 3 AND name IN ({marks(names)}) AND queue IN ({marks(queues)})"
        return self._claim(known, [*names, *queues], worker_id, limit)

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        return self._change_held(worker_id, fences, "DELETE FROM machinery_message WHERE id IN ({})")

    def give_back(self, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        status = "3" if parked else "IF(suspect, 5, 0)"
        change = f"UPDATE machinery_message SET status = {status}, worker_id = NULL, claims = claims - 1"
        return self._change_held(worker_id, fences, change + " WHERE id IN ({})")

    def step(self, rows: Sequence[Step]) -> int:
        now = self.clock()
        with self.transaction():
            still_open = set(_column(self.connection, _OPEN, [row.uuid for row in rows]))
            values = [_step_values(self.connection, row) for row in rows if row.uuid in still_open]
            place = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, IF(%s, COALESCE(%s, {0}), NULL), '', '', '', '', {0})"
            _insert(self.connection, _STEP, place.format(now), "", values)
        return len(values)

    def next_due(self) -> float | None:
        until = f"TIMESTAMPDIFF(MICROSECOND, {self.clock()}, due_at)"
        return next(
            (microseconds / 1e6 for (microseconds,) in fetch(self.connection, NEXT_DUE.format(until), [])), None
        )

    def promote(self, limit: int) -> list[str]:
        with self.transaction():
            due = fetch(self.connection, _DUE.format(self.clock()), [limit])
            if due:
                change = f"UPDATE machinery_message SET status = 0 WHERE id IN ({marks(due)})"
                execute(self.connection, change, [id for id, _ in due])
        return [queue for _, queue in due]

    def _put_tasks(self, rows: Sequence[NewTask], conflict: str) -> None:
        place = f"(%s, %s, %s, %s, 'PENDING', %s, %s, %s, {self.clock()}, %s, %s, %s)"
        values = [(*row[:6], _time(self.connection, row.eta), *row[7:]) for row in rows]
        _insert(self.connection, _PUT_TASKS, place, conflict, values)

    def _put_one(self, row: NewTask) -> bool:
        try:
            with transaction.atomic(using=self.connection.alias):
                self._put_tasks([row], "")
        except IntegrityError:
            return False
        return True

    def _claim(self, condition: str, parameters: list[Any], worker_id: int, limit: int) -> list[Claimed]:
        with self.transaction():
            chosen = fetch(self.connection, _CHOOSE.format(self.clock(), condition), [*parameters, limit])
            if chosen:
                execute(self.connection, _CLAIM.format(marks(chosen)), [worker_id, *(id for id, *_ in chosen)])
        return [
            Claimed(id, uuid, queue, body, claims + 1, crashes, bool(suspect), waited / 1e6)
            for id, uuid, queue, body, claims, crashes, suspect, waited in chosen
        ]

    def _change_held(self, worker_id: int, fences: Sequence[Fence], change: str) -> int:
        with self.transaction():
            held = fetch(self.connection, _HELD.format(marks(fences)), [*(id for id, _ in fences), worker_id])
            ids = [id for id, _ in {*held} & {*fences}]
            if ids:
                execute(self.connection, change.format(marks(ids)), ids)
        return len(ids)


def _step_values(connection: Connection, row: Step) -> tuple[Any, ...]:
    received, started, finished = (_time(connection, moment) for moment in row[8:])
    return (*row[:6], row.attempt or 0, row.worker, received, started, row.state in FINAL, finished)


def _time(connection: Connection, moment: datetime | None) -> datetime | None:
    return None if moment is None else naive(connection, moment)


def _insert(connection: Connection, statement: str, place: str, conflict: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """In one transaction, many rows a statement, in chunks that fit into a packet."""
    with transaction.atomic(using=connection.alias, savepoint=False):
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            values = [value for row in chunk for value in row]
            execute(connection, statement.format(", ".join([place] * len(chunk))) + conflict, values)


def _column(connection: Connection, statement: str, values: Sequence[Any]) -> list[Any]:
    """The only column of a query for a list of values."""
    return [value for (value,) in fetch(connection, statement.format(marks(values)), values)] if values else []
