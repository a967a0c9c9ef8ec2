"""Figures by the minute, for charts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class Stat(models.Model):
    """What one worker process did in one minute with one task on one queue, by outcome; later compacted."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    server = WireCharField(max_length=64)
    queue = WireCharField()
    name = WireCharField()
    outcome = WireCharField(max_length=16)
    worker_id = models.BigIntegerField(default=0)
    """0: compacted, all workers together."""
    count = models.BigIntegerField(default=0)
    wait_ms = models.BigIntegerField(default=0)
    run_ms = models.BigIntegerField(default=0)
    wait_hist = WireTextField(default="")
    run_hist = WireTextField(default="")

    class Meta:
        db_table = "machinery_stat"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["minute", "server", "queue", "name", "outcome", "worker_id"], name="machinery_stat_of"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.outcome} at {self.minute}: {self.count}"
