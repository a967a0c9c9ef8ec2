"""Ticks: the moments at which schedules were due."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models

from django_machinery.models.fields import MomentField, WireCharField


class TickManager(models.Manager["Tick"]):
    """What was done at which tick."""

    def expire(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` ticks of each status that are older; returns how many."""
        count = 0
        for status in Tick.Status.values:
            old = self.filter(status=status, tick_at__lt=before).order_by("tick_at")
            keys = list(old.values_list("pk", flat=True)[:limit])
            count += self.filter(pk__in=keys).delete()[0] if keys else 0
        return count


class Tick(models.Model):
    """One moment at which a schedule was due: whoever inserts the row sends the task, in the same transaction."""

    class Status(models.TextChoices):
        SENT = "sent", "sent"
        SKIPPED = "skipped", "skipped: the run before had not ended"
        ELSEWHERE = "elsewhere", "left to another program, which held the lock"
        UNDECIDED = "undecided", "not sent: found too late to know whether another program had sent it"
        FAILED = "failed", "could not be sent"

    id = models.BigAutoField(primary_key=True)
    schedule_key = WireCharField()
    tick_at = MomentField()
    uuid = WireCharField(default="")
    """Of what was sent, as `Schedule.last_uuid`."""
    status = WireCharField(max_length=16, choices=Status)
    worker = WireCharField(default="")
    """The scheduler: host:pid."""
    sent_at = MomentField(null=True)

    objects: ClassVar[TickManager] = TickManager()

    class Meta:
        db_table = "machinery_tick"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["schedule_key", "tick_at"], name="machinery_tick_once")
        ]
        indexes: ClassVar = [models.Index(fields=["status", "tick_at"], name="machinery_tick_status")]

    def __str__(self) -> str:
        return f"{self.schedule_key} at {self.tick_at}"
