"""Telling the workers that listen on PostgreSQL about new messages."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from django.db import Error, connections, transaction

from django_machinery.drivers.orm.store import drop_connection

CHANNEL = "machinery"
INTERVAL = 0.05
"""Seconds between two notifications of a queue by one process: each takes a lock of the whole server at its commit."""

# A transaction that notifies is written to the log like any other; there is nothing in it that the disk must have.
_NOTIFY = """
SELECT pg_notify(%s, queue)
FROM unnest(%s::text[]) AS queue, (SELECT set_config('synchronous_commit', 'off', true)) AS without_sync
"""


class Notifier:
    """Notifies after the commit of what is sent, and not of every message: see `listen.ListenWatch` for the rest."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._notified: dict[str, float] = {}

    def after_commit(self, queues: Iterable[str]) -> None:
        """Messages have come to these queues in the transaction that is open, or just now."""
        connection = connections[self._alias]
        if connection.vendor != "postgresql":
            return
        names = set(queues)
        if connection.in_atomic_block:
            transaction.on_commit(partial(self._notify, names), using=self._alias, robust=True)
        else:
            self._notify(names)

    def _notify(self, queues: set[str]) -> None:
        now = time.monotonic()
        silent = [queue for queue in queues if now - self._notified.get(queue, -INTERVAL) >= INTERVAL]
        if not silent:
            return
        self._notified.update(dict.fromkeys(silent, now))
        try:
            with connections[self._alias].cursor() as cursor:
                cursor.execute(_NOTIFY, [CHANNEL, silent])
        except Error:  # the messages are there, and workers look without being told
            drop_connection(self._alias)
