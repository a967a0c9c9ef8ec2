"""What operators ask of workers, whatever the broker: pauses, limits, cancellations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple

from django.db import models
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_machinery.models.clock import StoreTime
from django_machinery.models.fields import SparseIndex, WireCharField
from django_machinery.models.managers import upsert

ANY_GENERATION = 2**31 - 1
"""Where nobody can tell how often a task was started anew: its present run, whichever that is."""


class QueueControlManager(models.Manager["QueueControl"]):
    """Which queues rest."""

    def pause(self, server: str, queue: str, by: str, resume_at: datetime | None) -> None:
        """Let a queue rest, for good or until `resume_at`."""
        values = {"paused_at": timezone.now(), "paused_by": by, "resume_at": resume_at}
        self.update_or_create(server=server, queue=queue, name="", defaults=values)

    def resume(self, server: str, queue: str) -> bool:
        """End a pause; whether there was one."""
        paused = self.filter(server=server, queue=queue, name="", paused_at__isnull=False)
        return paused.update(paused_at=None, paused_by="", resume_at=None) > 0

    def paused(self, server: str) -> set[str]:
        """The queues that rest now, by the database's clock."""
        lasting = Q(resume_at__isnull=True) | Q(resume_at__gt=StoreTime())
        found = self.filter(lasting, server=server, name="", paused_at__isnull=False)
        return set(found.values_list("queue", flat=True))


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

    objects: ClassVar[QueueControlManager] = QueueControlManager()

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


class Wish(NamedTuple):
    """How a task is to be cancelled."""

    generation: int
    """Runs of this generation and of earlier ones: not those of a task that was started anew since."""
    hard: bool
    by: str


class CancellationManager(models.Manager["Cancellation"]):
    """Cancellations that stand: nobody has seen to them, and their tasks have not ended."""

    def request(self, server: str, generations: Mapping[str, int], by: str, *, hard: bool) -> None:
        """Ask that tasks be cancelled, each up to a generation. Asking again renews the request."""
        now = timezone.now()
        rows = [
            Cancellation(
                server=server, uuid=uuid, generation=generation, requested_at=now, requested_by=by[:255], hard=hard
            )
            for uuid, generation in generations.items()
        ]
        values = ["requested_at", "requested_by", "hard", "applied_at"]
        upsert(self, rows, ["server", "uuid", "generation"], values)

    def standing(self, server: str) -> models.QuerySet[Cancellation]:
        """Those of a server."""
        return self.filter(server=server, applied_at__isnull=True)

    def wishes(self, server: str) -> dict[str, Wish]:
        """Those of a server by the UUID of the task; of several the one for the newest generation."""
        rows = self.standing(server).order_by("generation")
        found = rows.values_list("uuid", "generation", "hard", "requested_by")
        return {uuid: Wish(generation, hard, by) for uuid, generation, hard, by in found}

    def version(self, server: str) -> tuple[object, ...]:
        """Something that changes with them, and costs no more than counting them."""
        found = self.standing(server).aggregate(Count("id"), Max("id"), Max("requested_at"))
        return tuple(found.values())

    def settle(self, server: str, uuids: Iterable[str]) -> int:
        """Their tasks have ended, or start anew: the requests stand no longer. Returns how many."""
        return self.standing(server).filter(uuid__in=list(uuids)).update(applied_at=timezone.now())


class Cancellation(models.Model):
    """Somebody asked that a task be cancelled."""

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(max_length=64)
    uuid = WireCharField()
    generation = models.IntegerField(default=0)
    requested_at = models.DateTimeField()
    requested_by = WireCharField(default="", blank=True)
    hard = models.BooleanField(default=False)
    """A run that has begun is ended together with its process."""
    applied_at = models.DateTimeField(null=True, blank=True)
    """When the task was found to have ended, or to have been started anew."""

    objects: ClassVar[CancellationManager] = CancellationManager()

    class Meta:
        db_table = "machinery_cancellation"
        verbose_name = _("cancellation")
        verbose_name_plural = _("cancellations")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "uuid", "generation"], name="machinery_cancellation_of")
        ]
        indexes: ClassVar = [
            SparseIndex(fields=["server", "id"], name="machinery_cancellation_open", where=Q(applied_at__isnull=True))
        ]

    def __str__(self) -> str:
        return str(self.uuid)
