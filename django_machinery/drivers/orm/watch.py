"""How an idle consumer learns that it may be worth looking for messages, without hammering the database."""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from typing import Any

from django.db import connections

SHORTEST, LONGEST = 0.005, 0.25
"""Seconds between two looks, where nothing but looking tells."""
BACK_OFF = 0.1
"""The pause before the next look, as a part of the time without messages."""
VERSION_INTERVAL = 0.005


class Bell:
    """Ends a wait from any thread or a signal handler: a socket, because no lock may be taken in a signal handler."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def ring(self) -> None:
        """End a running wait, or the next one."""
        with suppress(OSError):  # full, so it rings already; or closed
            self._write.send(b"\0")

    def wait(self, seconds: float, also: int | None = None) -> bool:
        """Wait for the bell, or until the file `also` is readable; whether the bell rang."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if also is not None:
            poll.register(also, select.POLLIN)
        if not any(fd == self._read.fileno() for fd, _ in poll.poll(max(0, seconds) * 1000)):
            return False
        with suppress(BlockingIOError):
            self._read.recv(4096)
        return True

    def close(self) -> None:
        self._read.close()
        self._write.close()


class Watch:
    """Looks again and again, the longer there is nothing the more rarely."""

    def __init__(self) -> None:
        self._quiet_since = time.monotonic()

    def stir(self) -> None:
        """There were messages just now."""
        self._quiet_since = time.monotonic()

    def pause(self) -> float:
        """For how long to wait before `changed` is asked."""
        return min(max((time.monotonic() - self._quiet_since) * BACK_OFF, SHORTEST), LONGEST)

    @property
    def fd(self) -> int | None:
        """A file that becomes readable when `changed` should be asked at once."""
        return None

    def changed(self) -> bool:
        """Is it worth looking for messages?"""
        return True

    def close(self) -> None:
        """Free the connection, if there is one."""


class VersionWatch(Watch):
    """SQLite: asks whether any connection has committed, which reads no table.

    On a connection of its own, because one does not see its own commits as changes.
    """

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._connection = connections.create_connection(alias)
        self._connection.inc_thread_sharing()
        self._version = self._read()

    def pause(self) -> float:
        return VERSION_INTERVAL

    def changed(self) -> bool:
        version, self._version = self._version, self._read()
        return bool(self._version != version)

    def close(self) -> None:
        self._connection.close()

    def _read(self) -> Any:
        self._connection.ensure_connection()
        with self._connection.wrap_database_errors:
            return self._connection.connection.execute("PRAGMA data_version").fetchone()
