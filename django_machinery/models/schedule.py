"""Periodic tasks and the ticks at which they were due."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class Schedule(models.Model):
    """When to send which signatures, in a zone of its own."""

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(max_length=64)
    name = WireCharField()
    kind = WireCharField(max_length=16)
    """What is sent: task, group, chord or chain."""
    spec = WireCharField()
    timezone = WireCharField(max_length=64)
    signatures = WireTextField()
    origin = WireCharField(max_length=16)
    """code: declared by the project; model: made by an operator."""
    enabled = models.BooleanField(default=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    missed = WireCharField(max_length=16)
    """What becomes of ticks at which nobody was there: skip, one, all or window."""
    catch_up = models.IntegerField(null=True, blank=True)
    """Seconds: how old a missed tick may be to be made up for."""
    dst_gap = WireCharField(max_length=16)
    dst_overlap = WireCharField(max_length=16)
    run_overlap = WireCharField(max_length=16)
    """Whether a tick is sent while the task of the tick before still runs."""
    next_at = models.DateTimeField(null=True, blank=True)
    planned_for = WireCharField(max_length=320, default="", blank=True)
    """The spec and zone that `next_at` was computed from: they differ after an update that went round `save`."""
    last_at = models.DateTimeField(null=True, blank=True)
    last_uuid = WireCharField(default="", blank=True)

    class Meta:
        db_table = "machinery_schedule"
        constraints: ClassVar = [models.UniqueConstraint(fields=["server", "name"], name="machinery_schedule_name")]
        indexes: ClassVar = [models.Index(fields=["enabled", "next_at"], name="machinery_schedule_next")]

    def __str__(self) -> str:
        return str(self.name)


class Tick(models.Model):
    """One moment at which a schedule was due: whoever inserts the row sends the task."""

    id = models.BigAutoField(primary_key=True)
    schedule_key = WireCharField()
    tick_at = models.DateTimeField()
    uuid = WireCharField(default="")
    status = WireCharField(max_length=16)
    """claimed, sent, skipped or elsewhere."""
    worker = WireCharField(default="")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "machinery_tick"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["schedule_key", "tick_at"], name="machinery_tick_once")
        ]
        indexes: ClassVar = [models.Index(fields=["status", "tick_at"], name="machinery_tick_status")]

    def __str__(self) -> str:
        return f"{self.schedule_key} at {self.tick_at}"
