"""Running a schedule by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.db import transaction

from django_machinery.exceptions import ConfigurationError
from django_machinery.scheduler.sending import send

if TYPE_CHECKING:
    from django_machinery.models import Schedule
    from django_machinery.server import Server


def _unresolved(alias: str) -> Server:
    raise ConfigurationError(f"The server {alias!r} cannot be looked up: django_machinery.handler was not imported")


resolve: Callable[[str], Server] = _unresolved
"""Finds the server of an alias. The handler, which is above this layer, installs it."""


def run_now(schedule: Schedule) -> list[str]:
    """Send what a schedule is for, besides its ticks, and record it as the last run; returns the UUIDs of all tasks.

    It runs even while the schedule is disabled, and whatever the last run does. Raises as `sending.send`.
    """
    from django_machinery.models import TaskState  # not before the apps are loaded

    server = resolve(schedule.server)
    with transaction.atomic(using=server.config.database):
        sent = send(server, schedule)
        if server.backend.supports_transactions:
            TaskState.objects.db_manager(server.config.database).belong([(schedule.pk, uuid) for uuid in sent.uuids])
        schedule.last_at, schedule.last_uuid = (
            type(schedule).objects.db_manager(server.config.database).now(),
            sent.last,
        )
        schedule.save(using=server.config.database, update_fields=["last_at", "last_uuid"])
    return sent.uuids
