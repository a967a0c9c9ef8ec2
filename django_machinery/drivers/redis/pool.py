"""Connections to one server, kept for the next caller (Go: redigo's Pool, whose options these are)."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hiredis
import redis
from redis.connection import AbstractConnection

from django_machinery.drivers.redis.script import Command, with_source

LOST = (redis.ConnectionError, redis.TimeoutError, OSError)
"""Errors after which a connection is of no use."""

_pack: Callable[..., bytes] = hiredis.pack_command


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

    def __init__(
        self, connect: Callable[[], AbstractConnection], bounds: Bounds, lost: Callable[[], None] = lambda: None
    ) -> None:
        """`lost` is called when a connection has died."""
        self.connect = connect
        """A new connection, for the caller alone."""
        self.losses = 0
        """How often a connection has died: those that were opened before the last time are not to be trusted."""
        self._lost = lost
        self._bounds = bounds
        self._idle: deque[tuple[float, AbstractConnection]] = deque()
        self._active = threading.BoundedSemaphore(bounds.max_active) if bounds.max_active else None
        self._pid = os.getpid()

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands, then read all replies: one round trip. Errors that the server replies are replies."""
        connection = self.take()
        try:
            send(connection, commands)
            replies = self.read(connection, commands)
        except LOST:
            self.drop(connection)
            self.lose()
            raise
        except BaseException:
            self.drop(connection)
            raise
        self.give(connection)
        return replies

    def read(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        """The replies to commands that were sent on a connection of this pool."""
        replies = [read_reply(connection) for _ in commands]
        for index, reply in enumerate(replies):
            if isinstance(reply, redis.exceptions.NoScriptError):
                replies[index] = reply = exchange(connection, [with_source(commands[index])])[0]
            if isinstance(reply, redis.ResponseError) and "READONLY" in str(reply):
                self.lose()  # the master has become a replica: connect anew, to whoever is the master now
                raise redis.ReadOnlyError(str(reply))
        return replies

    def take(self) -> AbstractConnection:
        """A connection for a while: the caller gives it back, or drops it when anything went wrong on it."""
        self._wait_for_permission()
        try:
            return self._idle_one() or self.connect()
        except BaseException:
            self._end_permission()
            raise

    def give(self, connection: AbstractConnection) -> None:
        self._idle.append((time.monotonic(), connection))
        if len(self._idle) > min(1, self._bounds.max_idle):
            self._close_superfluous()
        self._end_permission()

    def drop(self, connection: AbstractConnection) -> None:
        connection.disconnect()
        self._end_permission()

    def lose(self) -> None:
        """A connection has died: so have the idle ones, as a rule, which would cost each caller a timeout."""
        self.losses += 1
        self.close()
        self._lost()

    def close(self) -> None:
        """Close what is idle."""
        with suppress(IndexError):
            while True:
                self._idle.popleft()[1].disconnect()

    def _wait_for_permission(self) -> None:
        if self._active is None:
            return
        wait = self._bounds.wait
        if not (self._active.acquire(timeout=wait) if wait else self._active.acquire(blocking=False)):
            raise redis.ConnectionError(f"all {self._bounds.max_active} connections are in use (REDIS_MAX_ACTIVE)")

    def _end_permission(self) -> None:
        if self._active is not None:
            self._active.release()

    def _idle_one(self) -> AbstractConnection | None:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        with suppress(IndexError):
            while True:
                since, connection = self._idle.pop()
                if not self._is_old(since) and not _has_ended(connection):
                    return connection
                connection.disconnect()
        return None

    def _close_superfluous(self) -> None:
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
    # redis-py's own packing looks at the type of each word first, which takes longer than the packing.
    connection.send_packed_command([_pack(tuple(command)) for command in commands])


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
