"""The schedules that are declared in code, as rows: so that all workers agree on them, and operators see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django_machinery import signals
from django_machinery.models.schedule import Schedule, ScheduleManager, encode_invocations
from django_machinery.server import Server

if TYPE_CHECKING:
    from django_machinery.registry import PeriodicDefinition

SEEN = timedelta(hours=1)
"""Between two notes that a schedule is declared."""
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
        self._synced_at: datetime | None = None
        self.names: list[str] = []
        """Of the schedules that this process declares."""

    def sync(self, now: datetime) -> None:
        """Write what is new or differs, at the first call and when more was declared, and else a note every hour."""
        definitions = self._server.registry.periodic(self._server.alias)
        if definitions != self._synced:
            self.names = [definition.name for definition in definitions if self._write(definition, now)]
            self._synced = definitions
        elif self._synced_at is not None and SEEN > now - self._synced_at > -SEEN:
            return
        self._synced_at = now
        mine = self._schedules.filter(server=self._server.alias, origin=Schedule.Origin.CODE)
        mine.filter(name__in=self.names).update(seen_at=now)
        mine.filter(seen_at__lt=now - FORGOTTEN).delete()

    def _write(self, definition: PeriodicDefinition, now: datetime) -> bool:
        """False where a schedule that was made by hand has the name."""
        wanted = _columns(definition)
        row, _ = self._schedules.get_or_create(
            server=self._server.alias,
            name=definition.name,
            defaults={**wanted, "origin": Schedule.Origin.CODE, "seen_at": now},
        )
        if row.origin != Schedule.Origin.CODE:
            text = "the code declares a schedule of this name, and so does a row that was made by hand: rename one"
            signals.schedule_failed.send_robust(Server, server=self._server.alias, schedule=definition.name, error=text)
            return False
        if any(getattr(row, column) != value for column, value in wanted.items()):
            self._schedules.filter(pk=row.pk).update(**wanted)
        return True


def _columns(definition: PeriodicDefinition) -> dict[str, Any]:
    same = ("kind", "spec", "timezone", "missed", "catch_up", "dst_gap", "dst_overlap", "run_overlap")
    return {
        **{name: getattr(definition, name) for name in same},
        "signatures": encode_invocations(definition.signatures),
        "starts_at": definition.starts_at,
        "ends_at": definition.ends_at,
    }
