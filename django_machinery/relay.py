"""The relay: publishes what a crash or a delay left in the outbox. A loop, nothing more; publishing is the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.server import Server

BATCH = 500


def relay(server: Server) -> int:
    """Publish all outbox messages of `server` that are due; returns how many. Raises what the server raises."""
    relayed = 0
    while count := server.relay_outbox(BATCH):
        relayed += count
        if count < BATCH:
            break
    return relayed
