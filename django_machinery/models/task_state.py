"""States and results of tasks, and their history for operators."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import SparseIndex, WireCharField, WireTextField


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

    class Meta:
        db_table = "machinery_task_state"
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
