"""Connections to one server, kept for the next caller (Go: redigo's Pool, whose options these are)."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.connection import AbstractConnection

from django_machinery.drivers.redis.script import Command, with_source


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections there may be, and for how long."""

    max_idle: int
    max_active: int
    """0: any number."""
    idle_timeout: float
    """Seconds after which an idle connection is closed; 0: never."""
    wait: float
    """Seconds to wait for a connection when all are in use; 0: fail at once."""


class Pool:
    """Thread-safe, and safe to be inherited by a fork. Raises what redis-py raises."""

    def __init__(self, connect: Callable[[], AbstractConnection], bounds: Bounds) -> None:
        self.connect = connect
        """A new connection, for the caller alone."""
        self._bounds = bounds
        self._idle: deque[tuple[float, AbstractConnection]] = deque()
        self._active = threading.BoundedSemaphore(bounds.max_active) if bounds.max_active else None
        self._pid = os.getpid()

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands, then read all replies: one round trip. Errors that the server replies are replies."""
        with self.connection() as connection:
            send(connection, commands)
            return self.read(connection, commands)

    def read(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        """The replies to commands that were sent on a connection of this pool."""
        replies = [read_reply(connection) for _ in commands]
        for index, reply in enumerate(replies):
            if isinstance(reply, redis.exceptions.NoScriptError):
                replies[index] = reply = exchange(connection, [with_source(commands[index])])[0]
            if isinstance(reply, redis.ResponseError) and "READONLY" in str(reply):
                self.close()  # the master has become a replica: connect anew, to whoever is the master now
                raise redis.ReadOnlyError(str(reply))
        return replies

    @contextmanager
    def connection(self) -> Iterator[AbstractConnection]:
        """A connection for a while. One on which anything goes wrong is closed."""
        with self._permission():
            connection = self._take()
            try:
                yield connection
            except BaseException:
                connection.disconnect()
                raise
            self._give(connection)

    def close(self) -> None:
        """Close what is idle."""
        with suppress(IndexError):
            while True:
                self._idle.popleft()[1].disconnect()

    @contextmanager
    def _permission(self) -> Iterator[None]:
        if self._active is None:
            yield
            return
        wait = self._bounds.wait
        if not (self._active.acquire(timeout=wait) if wait else self._active.acquire(blocking=False)):
            raise redis.ConnectionError(f"all {self._bounds.max_active} connections are in use (REDIS_MAX_ACTIVE)")
        try:
            yield
        finally:
            self._active.release()

    def _take(self) -> AbstractConnection:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self.connect()
            if not self._is_old(since) and not _has_ended(connection):
                return connection
            connection.disconnect()

    def _give(self, connection: AbstractConnection) -> None:
        self._idle.append((time.monotonic(), connection))
        with suppress(IndexError):
            while len(self._idle) > self._bounds.max_idle or self._is_old(self._idle[0][0]):
                self._idle.popleft()[1].disconnect()

    def _is_old(self, since: float) -> bool:
        return 0 < self._bounds.idle_timeout < time.monotonic() - since


def exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    """Send all commands, then read all replies. An error that the server replies is a reply."""
    send(connection, commands)
    return [read_reply(connection) for _ in commands]


def send(connection: AbstractConnection, commands: Sequence[Command]) -> None:
    packed = connection.pack_command(*commands[0]) if len(commands) == 1 else connection.pack_commands(commands)
    connection.send_packed_command(packed)


def read_reply(connection: AbstractConnection) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _has_ended(connection: AbstractConnection) -> bool:
    """Whether the server has closed it: nothing else can be there to be read."""
    try:
        return connection.can_read(timeout=0)
    except (redis.RedisError, OSError):
        return True
