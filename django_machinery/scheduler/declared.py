"""The schedules that are declared in code, as rows: so that all workers agree on them, and operators see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, transaction

from django_machinery import signals
from django_machinery.exceptions import ConfigurationError
from django_machinery.models.schedule import Schedule, ScheduleManager, encode_invocations
from django_machinery.server import Server

if TYPE_CHECKING:
    from django_machinery.registry import PeriodicDefinition

SEEN = timedelta(hours=1)
"""Between two notes that a schedule is declared."""
PRESENT = timedelta(minutes=1)
"""Between two looks whether all rows are still there."""
FORGOTTEN = timedelta(days=7)
"""After which a schedule that no worker declares any more is deleted."""


class Declared:
    """Brings the rows of one server in line with its code.

    Workers of several versions may run at once. Each sends only what its own code declares, so that a schedule ends
    with the last worker that knows it; whose definitions differ, that of the worker started last holds. Rows that
    nobody declares are kept for a week: a version that is rolled back finds what it has missed.
    """

    def __init__(self, server: Server, schedules: ScheduleManager) -> None:
        self._server = server
        self._schedules = schedules
        self._synced: list[PeriodicDefinition] | None = None
        self._looked_at: datetime | None = None
        self._noted_at: datetime | None = None
        self.names: list[str] = []
        """Of the schedules that this process declares."""

    def sync(self, now: datetime) -> None:
        """Write what is new or differs, at the first call and when more was declared or a row was deleted, and else a
        note every hour. A definition that cannot be written is told, and holds up no other."""
        definitions = self._server.registry.periodic(self._server.alias)
        mine = self._schedules.filter(server=self._server.alias, origin=Schedule.Origin.CODE)
        if definitions == self._synced:
            if not _passed(self._looked_at, now, PRESENT):
                return
            self._looked_at = now
            is_whole = mine.filter(name__in=self.names).count() == len(self.names)
            if is_whole and not _passed(self._noted_at, now, SEEN):
                return
        if definitions != self._synced or not is_whole:
            self.names = [definition.name for definition in definitions if self._write(definition, now)]
            self._synced = definitions
        self._looked_at = self._noted_at = now
        mine.filter(name__in=self.names).update(seen_at=now)
        mine.filter(seen_at__lt=now - FORGOTTEN).delete()

    def _write(self, definition: PeriodicDefinition, now: datetime) -> bool:
        """False where it has no row: a schedule that was made by hand has the name, or the database refuses it."""
        try:
            with transaction.atomic(using=self._schedules.db):
                self._write_row(definition, now)
        except (OperationalError, InterfaceError):
            raise  # the database is away
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            signals.schedule_failed.send_robust(Server, server=self._server.alias, schedule=definition.name, error=text)
            return False
        return True

    def _write_row(self, definition: PeriodicDefinition, now: datetime) -> None:
        wanted = _columns(definition)
        row, _ = self._schedules.get_or_create(
            server=self._server.alias,
            name=definition.name,
            defaults={**wanted, "origin": Schedule.Origin.CODE, "seen_at": now},
        )
        if row.origin != Schedule.Origin.CODE:
            raise ConfigurationError(
                "the code declares a schedule of this name, and so does a row that was made by hand: rename one"
            )
        if any(getattr(row, column) != value for column, value in wanted.items()):
            self._schedules.filter(pk=row.pk).update(**wanted)


def _columns(definition: PeriodicDefinition) -> dict[str, Any]:
    same = ("kind", "spec", "timezone", "missed", "catch_up", "dst_gap", "dst_overlap", "run_overlap")
    return {
        **{name: getattr(definition, name) for name in same},
        "signatures": encode_invocations(definition.signatures),
        "starts_at": definition.starts_at,
        "ends_at": definition.ends_at,
    }


def _passed(since: datetime | None, now: datetime, time: timedelta) -> bool:
    """Also where the clock was set back."""
    return since is None or not timedelta(0) <= now - since < time
