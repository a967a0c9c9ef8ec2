"""A connection of one's own, for commands that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import redis

from django_machinery.drivers.redis.errors import Errors, translated
from django_machinery.drivers.redis.pool import LOST, Pool, exchange, send
from django_machinery.drivers.redis.script import Command


class Line:
    """For one thread. A line on which anything went wrong is to be closed. Raises the seam's errors."""

    def __init__(self, pool: Pool, errors: Errors) -> None:
        self._pool = pool
        self._errors = errors
        self._losses = pool.losses
        self._connection = pool.connect()
        with self._talking():
            self._id = exchange(self._connection, [("CLIENT", "ID")])[0]

    @property
    def client_id(self) -> int:
        """What the server calls this connection."""
        return int(self._id)

    @property
    def is_doubtful(self) -> bool:
        """Whether a connection to the same place has died since this one was opened."""
        return self._losses != self._pool.losses

    def fileno(self) -> int:
        """For `select.poll`: readable when a reply, or a message, is there."""
        connection: Any = self._connection
        return int(connection._sock.fileno())

    def send(self, commands: Sequence[Command]) -> None:
        with self._talking():
            send(self._connection, commands)

    def read(self) -> Any:
        """The next reply or message; waits for it as long as for any other."""
        with self._talking():
            return self._connection.read_response()

    def has_more(self) -> bool:
        """Whether `read` would return at once."""
        with self._talking():
            return bool(self._connection.can_read(timeout=0))

    def give_up(self) -> NoReturn:
        """Raise what `read` raises after its time: the caller has waited for it otherwise."""
        with self._talking():
            raise redis.TimeoutError("no answer to a command that waits")

    def unblock(self) -> None:
        """End the command that waits: its reply then comes at once, if it did not come already."""
        with translated(self._errors):
            self._pool.exchange([("CLIENT", "UNBLOCK", self._id)])

    def close(self) -> None:
        with suppress(redis.RedisError, OSError):
            self._connection.disconnect()

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """What dies here casts doubt on the connections of the pool, as what dies there does on this one."""
        with translated(self._errors):
            try:
                yield
            except LOST:
                self._pool.lose()
                raise
