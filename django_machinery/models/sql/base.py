"""What every engine must say in its own SQL: the statements that run for each task.

Numbers of `Message.Status` and words of the wire are literals here: a planner uses a partial index only for conditions
that it can read in the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeAlias

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, OutboxRow, Step

Connection: TypeAlias = BaseDatabaseWrapper

FINAL_STATES = "('SUCCESS', 'FAILURE')"

MESSAGE_COLUMNS = ("uuid", "queue", "name", "status", "rank_", "due_at", "body", "relay_to", "created_at")
TASK_COLUMNS = (
    *("uuid", "server", "name", "queue", "state", "priority", "signature", "eta", "created_at"),
    *("group_uuid", "group_index", "parent_uuid"),
)
_OUTBOX_DUE = """
SELECT id, claims, body, uuid, name, queue FROM machinery_message
WHERE status IN (1, 4) AND status = 4 AND relay_to = %s AND due_at <= {}
ORDER BY due_at LIMIT %s {}
"""
NEXT_DUE = "SELECT {} FROM machinery_message WHERE status IN (1, 4) AND status = 1 ORDER BY due_at LIMIT 1"
CLAIMED_COLUMNS = ("id", "uuid", "queue", "body", "claims", "crashes", "suspect")


class Dialect:
    """The statements of one engine, on one connection; within the caller's transaction, if there is one."""

    skip_locked: str = ""
    """What a SELECT ends with to lock its rows and pass over locked ones; empty where nobody else can write."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def clock(self, offset: float = 0.0) -> str:
        """The database's present time, plus seconds, as an expression in the form of a DateTimeField."""
        raise NotImplementedError

    def put_messages(self, rows: Sequence[NewMessage]) -> None:
        """Insert messages; one whose UUID is there already replaces it and counts as one more claim, so that whoever
        holds or relays the old one cannot delete the new one. No UUID may occur twice."""
        raise NotImplementedError

    def put_tasks(self, rows: Sequence[NewTask]) -> None:
        """Make tasks PENDING, whatever they were: one that was final starts its next generation. No UUID twice."""
        raise NotImplementedError

    def put_absent_tasks(self, rows: Sequence[NewTask]) -> set[str]:
        """Make those tasks PENDING that have no row yet; returns their UUIDs. No UUID may occur twice."""
        raise NotImplementedError

    def send(self, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]) -> None:
        """`put_tasks`, or `put_absent_tasks`, and `put_messages` as one: all or nothing."""
        raise NotImplementedError

    def any_ready(self, queues: Sequence[str]) -> bool:
        """Is there anything to claim on these queues?"""
        ready = f"SELECT 1 FROM machinery_message WHERE status = 0 AND queue IN ({marks(queues)}) LIMIT 1"
        return bool(fetch(self.connection, ready, queues))

    def claim(self, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        """Claim messages of one queue with that status (READY or SUSPECT) in their order."""
        raise NotImplementedError

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        """Claim parked messages of these queues and of these tasks."""
        raise NotImplementedError

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        """Delete messages that this worker still holds; returns how many those were."""
        raise NotImplementedError

    def give_back(self, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        """Undo claims that this worker still holds, back to where they came from or, if `parked`, to PARKED."""
        raise NotImplementedError

    def step(self, rows: Sequence[Step]) -> int:
        """Let tasks take a step that are not final; returns how many did. No UUID may occur twice."""
        raise NotImplementedError

    def conclude(self, worker_id: int, fences: Sequence[Fence], steps: Sequence[Step]) -> bool:
        """`settle` and `step` for all of them or for none: was it for all? In a transaction of its own alone."""
        try:
            with self.transaction():
                if self.settle(worker_id, fences) < len(fences) or self.step(steps) < len(steps):
                    raise NotAll
        except NotAll:
            return False
        return True

    def unfinished(self, uuids: Sequence[str]) -> list[str]:
        """Those of these tasks that have a state which is not final."""
        open_ = f"SELECT uuid FROM machinery_task_state WHERE uuid IN ({marks(uuids)}) AND state NOT IN {FINAL_STATES}"
        return [uuid for (uuid,) in fetch(self.connection, open_, uuids)]

    def promote(self, limit: int) -> list[str]:
        """Make delayed messages ready that are due, the longest due first; returns the queue of each."""
        raise NotImplementedError

    def next_due(self) -> float | None:
        """Seconds until the next delayed message is due, 0 or less when one is; None: there is none."""
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[None]:
        """The caller's transaction, or one of its own."""
        return transaction.atomic(using=self.connection.alias, savepoint=False)

    def take_outbox(self, server: str, limit: int, hold: float) -> list[OutboxRow]:
        """Outbox rows of a server that are due; others find them `hold` seconds later."""
        due = _OUTBOX_DUE.format(self.clock(), self.skip_locked)
        if not fetch(self.connection, due.removesuffix(self.skip_locked), [server, 1]):
            return []
        with self.transaction():
            rows = [OutboxRow(*row) for row in fetch(self.connection, due, [server, limit])]
            if rows:
                hide = f"UPDATE machinery_message SET due_at = {self.clock(hold)} WHERE id IN ({marks(rows)})"
                execute(self.connection, hide, [row.id for row in rows])
        return rows


class NotAll(Exception):
    """Rolls back."""


def execute(connection: Connection, statement: str, parameters: Sequence[Any]) -> int:
    """How many rows a statement changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        changed: int = cursor.rowcount
        return changed


def fetch(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What a statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def marks(values: Sequence[Any]) -> str:
    """Places for a list of parameters."""
    return ", ".join(["%s"] * len(values))


def naive(connection: Connection, moment: datetime) -> datetime:
    """An aware time as engines without time zones keep it in a DateTimeField."""
    return moment.astimezone(connection.timezone or timezone.get_default_timezone()).replace(tzinfo=None)
