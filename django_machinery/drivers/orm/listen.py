"""LISTEN on PostgreSQL, on a direct connection of its own: a pooler would hand notifications to somebody else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from django.db import connections

from django_machinery.drivers.orm.notify import CHANNEL, INTERVAL
from django_machinery.drivers.orm.watch import Watch

if TYPE_CHECKING:
    from psycopg import Connection

STEP = 0.004
"""Seconds between looks while a sender may keep silent about further messages: see `Notifier`."""
LOOK_EVERY = 0.5
"""Seconds between looks all the same: a notification can be lost."""
RECONNECT_EVERY = 2.0


class ListenWatch(Watch):
    """Hears about new messages; looks for them as `Watch` does while it cannot listen."""

    def __init__(self, alias: str, dsn: str, queues: Sequence[str]) -> None:
        super().__init__()
        self._alias = alias
        self._dsn = dsn
        self._queues = {queue.encode() for queue in queues}
        self._connection: Connection | None = None
        self._next_try = 0.0
        self._looked = 0.0
        self._heard = 0.0
        self._listen()

    def stir(self) -> None:
        super().stir()
        self._heard = time.monotonic()

    def pause(self) -> float:
        if self._connection is None:
            return super().pause()
        now = time.monotonic()
        if now < self._heard + INTERVAL + STEP:
            return STEP
        return max(self._looked + LOOK_EVERY - now, 0)

    @property
    def fd(self) -> int | None:
        return None if self._connection is None else self._connection.fileno()

    def changed(self) -> bool:
        now = time.monotonic()
        if self._connection is None:
            self._looked = now
            self._listen()
            return True
        if self._hears():
            self._heard = now
        elif now >= self._heard + INTERVAL + 2 * STEP and now < self._looked + LOOK_EVERY:
            return False
        self._looked = now
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        import psycopg

        now = time.monotonic()
        if now < self._next_try:
            return
        self._next_try = now + RECONNECT_EVERY
        with suppress(psycopg.Error):
            connection = self._connect()
            connection.execute(f"LISTEN {CHANNEL}")
            self._connection = connection

    def _connect(self) -> Connection:
        import psycopg

        if self._dsn:
            return psycopg.connect(self._dsn, autocommit=True)
        parameters = connections[self._alias].get_connection_params()
        return psycopg.connect(**parameters, autocommit=True)

    def _hears(self) -> bool:
        """Was one of our queues named? A connection that broke counts as yes, and is tried again later."""
        import psycopg

        assert self._connection is not None
        named = False
        try:
            self._connection.pgconn.consume_input()
            while (notification := self._connection.pgconn.notifies()) is not None:
                named = named or notification.extra in self._queues
        except psycopg.Error:
            self.close()
            return True
        return named
