"""Worker processes and their leases."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class WorkerProcess(models.Model):
    """A process that runs tasks: what it says of itself, and how long its messages are its own."""

    id = models.BigAutoField(primary_key=True)
    token = WireCharField(max_length=64)
    server = WireCharField(max_length=64, default="")
    host = WireCharField(default="")
    pid = models.IntegerField(default=0)
    supervisor = WireCharField(max_length=64, default="")
    """What its siblings under one supervisor share."""
    tag = WireCharField(default="")
    queues = WireTextField(default="")
    names = WireTextField(default="")
    """A hash of the tasks that it knows, then their names, a line each."""
    concurrency = models.IntegerField(default=0)
    busy = models.IntegerField(default=0)
    done = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    rss = models.BigIntegerField(default=0)
    """Resident memory in bytes."""
    version = WireCharField(max_length=32, default="")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    """By the database's clock; null: lost, and never held again."""
    stopping = models.BooleanField(default=False)

    class Meta:
        db_table = "machinery_worker"
        constraints: ClassVar = [models.UniqueConstraint(fields=["token"], name="machinery_worker_token")]
        indexes: ClassVar = [models.Index(fields=["lease_until"], name="machinery_worker_lease")]

    def __str__(self) -> str:
        return f"{self.tag or 'worker'} {self.host}:{self.pid}"
