"""What every worker obeys, whatever the broker: rows in the project's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.server import Server


def cancel(server: Server, uuid: str, by: str = "") -> None:
    """Ask a running task to end: within about a second `context.cancelled` is true, and an `async def` task is ended
    by `TaskCancelled`, with FAILURE and the reason "cancelled".

    A task that waits is told when it has started. A plain task that does not look goes on. `by` says who asked.
    """
    from django_machinery.models import Cancellation  # not before the apps are loaded

    Cancellation.objects.db_manager(server.config.database).request(server.alias, uuid, by)
