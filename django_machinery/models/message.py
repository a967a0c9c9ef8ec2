"""Messages: what waits on queues, what workers hold, and the outbox."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import SparseIndex, WireCharField, WireTextField


class Message(models.Model):
    """One encoded signature on a queue. It is deleted in the step that makes its outcome durable."""

    class Status(models.IntegerChoices):
        """Where a message is. The numbers are in hot statements and indexes: they never change."""

        READY = 0, "ready"
        LATER = 1, "delayed"
        CLAIMED = 2, "held by a worker"
        PARKED = 3, "parked: a worker did not know the task"
        OUTBOX = 4, "in the outbox"
        SUSPECT = 5, "ready, but to be run alone"

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    queue = WireCharField()
    name = WireCharField()
    status = models.SmallIntegerField(choices=Status)
    rank = models.SmallIntegerField(db_column="rank_")
    """The priority, negated, so that one index gives the order."""
    due_at = models.DateTimeField(null=True)
    """When to make it ready (LATER) or to send it (OUTBOX); null in every other status."""
    expires_at = models.DateTimeField(null=True)
    body = WireTextField()
    worker_id = models.BigIntegerField(null=True)
    """The row of the worker process that holds it, or held it last."""
    claims = models.IntegerField(db_default=0)
    """How often it has been handed out, released claims not counted; in the outbox, how often it has been written."""
    crashes = models.SmallIntegerField(db_default=0)
    suspect = models.BooleanField(db_default=False)
    """It was held by a process that crashed."""
    relay_to = WireCharField(max_length=64, db_default="")
    """Outbox: the settings alias of the server whose broker it has to reach."""
    created_at = models.DateTimeField()

    class Meta:
        db_table = "machinery_message"
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_message_uuid")]
        indexes: ClassVar = [
            models.Index(fields=["status", "queue", "rank", "id"], name="machinery_message_claim"),
            SparseIndex(
                fields=["status", "due_at"], name="machinery_message_due", where=models.Q(due_at__isnull=False)
            ),
            SparseIndex(fields=["name"], name="machinery_message_parked", where=models.Q(status=3)),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.uuid} on {self.queue}"
