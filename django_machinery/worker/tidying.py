"""Closes cancellations whose tasks have ended, by whatever cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.server import Server

AT_ONCE = 500
"""How many are looked at in one go; the next go begins where it ended."""


class Tidying:
    """Asks the result backend, so that a cancellation holds until the end that it asked for is durable.

    Nothing else would do: a worker that has told its task may crash before the task has ended.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen = 0

    def look(self) -> None:
        """Close those that have been seen to. One query where no task is to be cancelled."""
        from django_machinery.models import Cancellation

        cancellations = Cancellation.objects.db_manager(self._server.config.database)
        standing = cancellations.standing(self._server.alias).filter(id__gt=self._seen).order_by("id")
        rows = list(standing.values_list("id", "uuid")[:AT_ONCE])
        self._seen = rows[-1][0] if len(rows) == AT_ONCE else 0
        uuids = [uuid for _, uuid in rows]
        states = self._server.backend.get_states(uuids) if uuids else []
        ended = [state.task_uuid for state in states if state is not None and state.is_completed]
        if ended:
            cancellations.settle(self._server.alias, ended)
