"""What operators ask of workers, whatever the broker: pauses, limits, cancellations."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_machinery.models.fields import WireCharField


class QueueControl(models.Model):
    """Pause and limits of a queue, or of one task on it."""

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(max_length=64)
    queue = WireCharField()
    name = WireCharField(default="", blank=True)
    """Empty: the whole queue."""
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = WireCharField(default="", blank=True)
    resume_at = models.DateTimeField(null=True, blank=True)
    rate = models.IntegerField(null=True, blank=True)
    """Starts allowed in each `period` seconds."""
    period = models.FloatField(null=True, blank=True)
    tokens = models.FloatField(default=0)
    """Starts that are left of the rate, as of `refilled_at`."""
    refilled_at = models.DateTimeField(null=True, blank=True)
    max_running = models.IntegerField(null=True, blank=True)

    class Meta:
        db_table = "machinery_queue_control"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        permissions: ClassVar = [
            ("pause_queuecontrol", "Can pause and resume queues"),
            ("purge_queuecontrol", "Can purge queues"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "queue", "name"], name="machinery_control_of")
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.name}".rstrip()


class CancellationManager(models.Manager["Cancellation"]):
    """Cancellations are looked up by the UUIDs that a worker holds: ids may be committed out of order."""

    def request(self, server: str, uuid: str, by: str) -> None:
        """Ask that a task be cancelled. Asking twice changes nothing."""
        values = {"requested_at": timezone.now(), "requested_by": by}
        self.get_or_create(server=server, uuid=uuid, generation=0, defaults=values)

    def requested(self, server: str, uuids: list[str]) -> set[str]:
        """Which of these tasks somebody wants cancelled."""
        asked = self.filter(server=server, uuid__in=uuids, applied_at=None)
        return set(asked.values_list("uuid", flat=True))


class Cancellation(models.Model):
    """Somebody asked that a task be cancelled."""

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(max_length=64)
    uuid = WireCharField()
    generation = models.IntegerField(default=0)
    requested_at = models.DateTimeField()
    requested_by = WireCharField(default="", blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[CancellationManager] = CancellationManager()

    class Meta:
        db_table = "machinery_cancellation"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "uuid", "generation"], name="machinery_cancellation_of")
        ]

    def __str__(self) -> str:
        return str(self.uuid)
