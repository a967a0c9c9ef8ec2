"""Worker processes and their leases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import ClassVar, NamedTuple

from django.db import models
from django.db.models import Case, Value, When
from django.utils.translation import gettext_lazy as _

from django_machinery.models.clock import StoreTime
from django_machinery.models.fields import WireCharField, WireTextField


class Beat(NamedTuple):
    """What a process says of itself while it runs."""

    token: str
    busy: int
    done: int
    failed: int
    rss: int


class WorkerProcessManager(models.Manager["WorkerProcess"]):
    """Who is alive: leases by the database's clock."""

    def enlist(
        self,
        token: str,
        *,
        server: str,
        host: str,
        pid: int,
        supervisor: str,
        tag: str,
        queues: Sequence[str],
        names: Collection[str],
        concurrency: int,
        version: str = "",
        lease: float = 10.0,
    ) -> None:
        """Say who the process `token` is. Takes a first lease if it has none yet; does not renew one."""
        known = "\n".join(sorted(names))
        about = {
            "server": server,
            "host": host,
            "pid": pid,
            "supervisor": supervisor,
            "tag": tag,
            "queues": "\n".join(queues),
            "names": f"{sha256(known.encode()).hexdigest()[:16]}\n{known}",
            "concurrency": concurrency,
            "version": version,
        }
        self._insert_absent([token], lease)
        self.filter(token=token).update(**about)

    def renew(self, tokens: Collection[str], lease: float) -> set[str]:
        """Prolong leases by `lease` seconds, take a first one for tokens never seen; returns those that are held."""
        if self._alive(tokens).update(lease_until=StoreTime(lease), beat_at=StoreTime()) == len(tokens):
            return set(tokens)
        self._insert_absent(tokens, lease)
        return set(self._alive(tokens).values_list("token", flat=True))

    def beat(self, beats: Iterable[Beat | tuple[str, int, int, int, int]]) -> None:
        """Note how busy processes are."""
        for token, busy, done, failed, rss in beats:
            self.filter(token=token).update(busy=busy, done=done, failed=failed, rss=rss, beat_at=StoreTime())

    def roll(self, server: str, silent: float) -> list[WorkerProcess]:
        """The processes of a server: those that live first, by name; `stale` after so many seconds without a beat."""
        heard = When(beat_at__gte=StoreTime(-silent), then=Value(False))
        rows = self.filter(server=server).annotate(silent=Case(heard, default=Value(True)))
        found: list[WorkerProcess] = list(rows.order_by("silent", "host", "pid", "id").defer("names"))
        for process in found:
            process.stale = process.silent  # type: ignore[attr-defined]
        return found

    def id_of(self, token: str) -> int | None:
        """The row of a process, lost or not."""
        return self.filter(token=token).values_list("id", flat=True).first()

    def lose(self, token: str) -> None:
        """End a lease for good."""
        self.filter(token=token).update(lease_until=None)

    def lose_expired(self) -> int:
        """End the leases that have run out; returns how many."""
        expired = self.filter(lease_until__lt=StoreTime())
        return expired.update(lease_until=None) if expired.exists() else 0

    def stop(self, token: str) -> None:
        """Note that a process finishes what it runs and takes nothing new."""
        self.filter(token=token).update(stopping=True)

    def retire(self, token: str) -> None:
        """Forget a process that ended in good order."""
        self.filter(token=token).delete()

    def forget_lost(self, after: timedelta) -> int:
        """Forget processes that were lost and have not been heard of for so long; returns how many."""
        silent = self.filter(lease_until__isnull=True, beat_at__lt=StoreTime(-after.total_seconds()))
        return silent.delete()[0] if silent.exists() else 0

    def _alive(self, tokens: Collection[str]) -> models.QuerySet[WorkerProcess]:
        return self.filter(token__in=list(tokens), lease_until__isnull=False)

    def _insert_absent(self, tokens: Collection[str], lease: float) -> None:
        rows = [
            WorkerProcess(token=token, lease_until=StoreTime(lease), beat_at=StoreTime(), started_at=StoreTime())
            for token in tokens
        ]
        self.bulk_create(rows, ignore_conflicts=True)


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

    stale: bool = False
    """Not heard of for long: set by `WorkerProcessManager.roll`."""

    objects: ClassVar[WorkerProcessManager] = WorkerProcessManager()

    class Meta:
        db_table = "machinery_worker"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        constraints: ClassVar = [models.UniqueConstraint(fields=["token"], name="machinery_worker_token")]
        indexes: ClassVar = [models.Index(fields=["lease_until"], name="machinery_worker_lease")]

    def __str__(self) -> str:
        return f"{self.tag or 'worker'} {self.host}:{self.pid}"

    @property
    def name(self) -> str:
        """What states, attempts and signals call it (`worker.terms.worker_name`)."""
        name = f"{self.host}:{self.pid}"
        return f"{self.tag}@{name}" if self.tag else name
