"""A connection of one's own, for commands that wait."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from django_machinery.drivers.redis.errors import Errors, translated
from django_machinery.drivers.redis.pool import Pool, exchange, send
from django_machinery.drivers.redis.script import Command


class Line:
    """For one thread. A line on which anything went wrong is to be closed. Raises the seam's errors."""

    def __init__(self, pool: Pool, errors: Errors) -> None:
        self._pool = pool
        self._errors = errors
        self._connection = pool.connect()
        self._id = exchange(self._connection, [("CLIENT", "ID")])[0]

    @property
    def client_id(self) -> int:
        """What the server calls this connection."""
        return int(self._id)

    def fileno(self) -> int:
        """For `select.poll`: readable when a reply, or a message, is there."""
        connection: Any = self._connection
        return int(connection._sock.fileno())

    def send(self, commands: Sequence[Command]) -> None:
        with translated(self._errors):
            send(self._connection, commands)

    def read(self) -> Any:
        """The next reply or message; waits for it as long as for any other."""
        with translated(self._errors):
            return self._connection.read_response()

    def has_more(self) -> bool:
        """Whether `read` would return at once."""
        with translated(self._errors):
            return bool(self._connection.can_read(timeout=0))

    def unblock(self) -> None:
        """End the command that waits: its reply then comes at once, if it did not come already."""
        with translated(self._errors):
            self._pool.exchange([("CLIENT", "UNBLOCK", self._id)])

    def close(self) -> None:
        with suppress(redis.RedisError, OSError):
            self._connection.disconnect()
