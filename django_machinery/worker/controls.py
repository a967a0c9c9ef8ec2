"""What operators want of this worker: which queues rest, which tasks are cancelled. Looked up in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.protocol import headers

if TYPE_CHECKING:
    from django_machinery.models.control import Wish
    from django_machinery.protocol.signature import Signature
    from django_machinery.server import Server

READ_ANYWAY = 30.0
"""Seconds after which cancellations are read again, even if they seem to be the same."""


class Controls:
    """Read by `refresh`, in one thread; asked by many. Nothing is paused or cancelled before the first `refresh`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._version: tuple[object, ...] = ()
        self._read_at = -READ_ANYWAY
        self.paused: Collection[str] = frozenset()
        """Queues from which nothing is to be fetched."""
        self.cancelled: Mapping[str, Wish] = {}
        """By the UUID of the task. Usually empty."""

    def refresh(self) -> bool:
        """Read anew; whether other queues are paused than before. Raises the database's errors."""
        from django_machinery.models import Cancellation, QueueControl

        database, alias = self._server.config.database, self._server.alias
        cancellations = Cancellation.objects.db_manager(database)
        version, now = cancellations.version(alias), monotonic()
        if version != self._version or now - self._read_at >= READ_ANYWAY:
            self.cancelled = cancellations.wishes(alias) if version[0] else {}
            self._version, self._read_at = version, now
        before, self.paused = self.paused, frozenset(QueueControl.objects.db_manager(database).paused(alias))
        return self.paused != before

    def wish_for(self, signature: Signature) -> Wish | None:
        """Whether, and how, the run that this message asks for is to be cancelled."""
        wish = self.cancelled.get(signature.uuid)
        return wish if wish is not None and headers.generation(signature) <= wish.generation else None
