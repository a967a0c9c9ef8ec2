"""States and results of tasks, and their history for operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple, TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_machinery.models.attempt import Attempt
from django_machinery.models.fields import SparseIndex, WireCharField, WireTextField
from django_machinery.models.managers import HotManager
from django_machinery.models.sql.rows import NewTask, Step

T = TypeVar("T")

CHUNK = 1000
"""How many UUIDs go into one query: engines bound the parameters of a statement."""


class WireRow(NamedTuple):
    """The columns that travel."""

    uuid: str
    name: str
    state: str
    results: str | None
    error: str
    created_at: datetime


class TaskStateManager(HotManager["TaskState"]):
    """How states follow each other: the first final one wins."""

    def announce(self, rows: Sequence[NewTask]) -> None:
        """Make tasks PENDING; those that were final start anew."""
        if rows:
            self.sql.put_tasks(rows)

    def announce_absent(self, rows: Sequence[NewTask]) -> set[str]:
        """Make those tasks PENDING that have no state; returns their UUIDs."""
        return self.sql.put_absent_tasks(rows) if rows else set()

    def step(self, rows: Sequence[Step]) -> int:
        """Write states of tasks that are not final; returns how many were written."""
        return self.sql.step(rows) if rows else 0

    def belong(self, pairs: Sequence[tuple[int, str]]) -> None:
        """Note the schedules, by key, that tasks were sent by, by UUID."""
        if pairs:
            with self.connection.cursor() as cursor:
                cursor.executemany("UPDATE machinery_task_state SET schedule_id = %s WHERE uuid = %s", pairs)

    def states(self, uuids: Sequence[str]) -> dict[str, str]:
        """The state of each task that has one; in a transaction nobody changes them until its end."""
        rows = self.order_by("uuid").values_list("uuid", "state")
        if self.connection.in_atomic_block:
            rows = rows.select_for_update()
        return {uuid: state for chunk in chunks(sorted(uuids), CHUNK) for uuid, state in rows.filter(uuid__in=chunk)}

    def unfinished(self, uuids: Sequence[str]) -> set[str]:
        """Which of these tasks have a state that is not final."""
        return {uuid for chunk in chunks(uuids, CHUNK) for uuid in self.sql.unfinished(chunk)}

    def first_generation(self, uuids: Sequence[str]) -> set[str]:
        """Which of these tasks have never been started anew."""
        rows = self.filter(generation=0).values_list("uuid", flat=True)
        return {uuid for chunk in chunks(uuids, CHUNK) for uuid in rows.filter(uuid__in=chunk)}

    def of(self, uuids: Sequence[str]) -> dict[str, WireRow]:
        """What travels of these tasks."""
        found = (self.wire_rows(self.filter(uuid__in=chunk)) for chunk in chunks(uuids, CHUNK))
        return {row.uuid: row for rows in found for row in rows}

    def signatures(self, uuids: Sequence[str]) -> dict[str, str]:
        """The messages of these tasks, as they were sent."""
        rows = self.values_list("uuid", "signature")
        return {uuid: text for chunk in chunks(uuids, CHUNK) for uuid, text in rows.filter(uuid__in=chunk)}

    def newest(self, server: str, before: datetime | None) -> models.QuerySet[TaskState]:
        """The tasks of a server that were sent before a time, the newest first."""
        rows = self.filter(server=server) if before is None else self.filter(server=server, created_at__lt=before)
        return rows.order_by("-id")

    def members(self, group_uuid: str) -> models.QuerySet[TaskState]:
        """The rows of a group's members, in their order."""
        return self.filter(group_uuid=group_uuid).order_by("group_index", "id")

    def wire_rows(self, tasks: models.QuerySet[TaskState]) -> list[WireRow]:
        """What travels of tasks."""
        return [WireRow(*row) for row in tasks.values_list(*WireRow._fields)]

    def purge(self, uuids: Sequence[str]) -> None:
        """Delete the rows of these tasks, with those of their attempts."""
        for chunk in chunks(uuids, CHUNK):
            Attempt.objects.using(self.db).filter(uuid__in=chunk).delete()
            self.filter(uuid__in=chunk).delete()


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`values` in pieces of up to `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


class TaskState(models.Model):
    """What is known of one task: its state and results as on the wire, and what only operators ask for.

    Each index costs every task. There is none on `created_at` alone: ids follow it, and with a list of all states
    (state, created_at) answers a range of times. Nor on the queue: the newest of a queue are found by walking the ids.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    server = WireCharField(max_length=64)
    name = WireCharField()
    queue = WireCharField()
    state = WireCharField(max_length=16)
    reason = WireCharField(max_length=16, db_default="")
    """Why it failed: error, crash, timeout, cancelled, dead or parent."""
    generation = models.IntegerField(db_default=0)
    """How often it has been started anew after it was final."""
    attempt = models.IntegerField(db_default=1)
    """The number of the latest run, or of the next one."""
    priority = models.SmallIntegerField(db_default=0)
    signature = WireTextField()
    results = WireTextField(null=True)
    error = WireTextField(db_default="")
    traceback = WireTextField(db_default="")
    progress_done = models.BigIntegerField(null=True)
    progress_total = models.BigIntegerField(null=True)
    progress_note = WireCharField(db_default="")
    worker = WireCharField(db_default="")
    eta = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    received_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    group_uuid = WireCharField(null=True)
    group_index = models.IntegerField(null=True)
    parent_uuid = WireCharField(null=True)
    schedule_id = models.BigIntegerField(null=True)
    trace_id = WireCharField(max_length=64, db_default="")

    objects: ClassVar[TaskStateManager] = TaskStateManager()

    class Meta:
        db_table = "machinery_task_state"
        verbose_name = _("task state")
        verbose_name_plural = _("task states")
        permissions: ClassVar = [
            ("retry_taskstate", "Can run tasks again"),
            ("cancel_taskstate", "Can cancel tasks"),
            ("run_now_taskstate", "Can run waiting tasks now"),
            ("view_raw_taskstate", "Can see the unmasked signatures and results of tasks"),
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_task_uuid")]
        indexes: ClassVar = [
            models.Index(fields=["state", "created_at"], name="machinery_task_state_created"),
            models.Index(fields=["name", "created_at"], name="machinery_task_name_created"),
            SparseIndex(
                fields=["group_uuid", "group_index"],
                name="machinery_task_group",
                where=models.Q(group_uuid__isnull=False),
            ),
            SparseIndex(
                fields=["parent_uuid"], name="machinery_task_parent", where=models.Q(parent_uuid__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.uuid}: {self.state}"
