"""Waiting for states: Redis tells when a key is written, whoever writes it (CLIENT TRACKING)."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django_machinery.drivers.redis.errors import translated
from django_machinery.exceptions import BackendUnavailable, StoreError

if TYPE_CHECKING:
    from django_machinery.drivers.redis.client import Client
    from django_machinery.drivers.redis.line import Line
    from django_machinery.drivers.redis.script import Command

CHANNEL = "__redis__:invalidate"
MESSAGE, PONG = b"message", b"pong"
"""The kinds of what a subscriber is sent: news, and the answer to a PING."""
MOST_IDLE = 8
SILENCE = 2.0
"""Seconds without news after which both ends of a watch are asked whether they are still there."""
SHORTEST, LONGEST, SHARE = 0.005, 1.0, 0.1
"""Where Redis does not track: seconds between two looks, which are this share of the time waited so far."""


class Watches:
    """Keeps watches for the next who waits. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._idle: list[Watch] = []

    @contextmanager
    def open(self) -> Iterator[Watch]:
        """A watch for one thread. One on which anything goes wrong is closed."""
        watch = self._take()
        try:
            yield watch
            watch.rest()
        except BaseException:
            watch.close()
            raise
        self._idle.append(watch)
        if len(self._idle) > MOST_IDLE:
            self._idle.pop(0).close()

    def close(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _take(self) -> Watch:
        with suppress(IndexError):
            while True:
                watch = self._idle.pop()
                if watch.pid == os.getpid() and watch.is_alive():
                    return watch
                watch.close()
        return Watch(self._client)


class Watch:
    """Reads keys and is told when they change: two lines to each server that has some of them."""

    def __init__(self, client: Client) -> None:
        self.pid = os.getpid()
        self._client = client
        self._pairs: dict[object, _Pair] = {}
        self._began = time.monotonic()

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values. From now on `changed` tells when one of them is written."""
        parts: dict[object, list[str]] = {}
        with translated(self._client.errors):
            for key in keys:
                parts.setdefault(self._client.place(key), []).append(key)
        found: dict[str, bytes | None] = {}
        for place, part in parts.items():
            if place not in self._pairs:
                self._pairs[place] = _Pair(self._client, part[0])
            found.update(zip(part, self._pairs[place].read(part), strict=True))
        return [found[key] for key in keys]

    def changed(self, keys: Iterable[str], timeout: float) -> list[str]:
        """Those of the keys that may have been written since they were read.

        [] when there is no news of them within `timeout`, or for a while: then Redis has answered that it is there.
        """
        if not all(pair.is_tracking for pair in self._pairs.values()):
            waited = time.monotonic() - self._began
            time.sleep(min(timeout, LONGEST, max(SHORTEST, SHARE * waited)))
            return list(keys)
        written: set[str] | None = set()
        listeners = [pair.listener for pair in self._pairs.values()]
        if ready := _readable(listeners, min(timeout, SILENCE)):
            for listener in ready:
                written = _merge(written, _written(listener))
        elif timeout > SILENCE:
            for pair in self._pairs.values():
                written = _merge(written, pair.ping())
        return [key for key in keys if written is None or key in written]

    def rest(self) -> None:
        """Be told of nothing until the next `read`."""
        self._began = float("inf")
        for pair in self._pairs.values():
            pair.rest()

    def is_alive(self) -> bool:
        """Whether no connection has ended meanwhile; a new waiting begins."""
        self._began = time.monotonic()
        return all(pair.is_alive() for pair in self._pairs.values())

    def close(self) -> None:
        for pair in self._pairs.values():
            pair.close()


class _Pair:
    """The line that reads, and the line that hears what becomes of what was read."""

    def __init__(self, client: Client, key: str) -> None:
        self.listener, self._reader = client.line(key), client.line(key)
        self.is_tracking = self._subscribe()
        self._is_resting = True

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        commands: list[Command] = [("GET", key) for key in keys]
        starts = self.is_tracking and self._is_resting
        if starts:
            commands.insert(0, ("CLIENT", "TRACKING", "ON", "REDIRECT", self.listener.client_id))
        self._reader.send(commands)
        replies: list[Any] = [self._reader.read() for _ in commands]
        self._is_resting = False
        return replies[1:] if starts else replies

    def ping(self) -> set[str] | None:
        """The keys that were written after all; None: all may have been. Raises `BackendUnavailable` from a dead line.

        A connection that the network has forgotten, or whose server hangs, says nothing by itself.
        """
        for line in (self.listener, self._reader):
            line.send([("PING",)])
        self._reader.read()
        return _written(self.listener, until=PONG)

    def rest(self) -> None:
        if self.is_tracking and not self._is_resting:
            self._reader.send([("CLIENT", "TRACKING", "OFF")])
            self._reader.read()
            self._is_resting = True

    def is_alive(self) -> bool:
        if self._reader.is_doubtful or self.listener.is_doubtful:
            return False
        try:
            return not self._reader.has_more() and self.listener.has_more() is not None
        except StoreError:
            return False

    def close(self) -> None:
        self.listener.close()
        self._reader.close()

    def _subscribe(self) -> bool:
        """Whether this Redis, and its rights for us, allow it."""
        try:
            self.listener.send([("SUBSCRIBE", CHANNEL)])
            self.listener.read()
            for command in (("CLIENT", "TRACKING", "OFF"), ("PING",)):
                self._reader.send([command])
                self._reader.read()
        except BackendUnavailable:
            raise
        except StoreError:
            return False
        return True


def _readable(lines: Sequence[Line], timeout: float) -> list[Line]:
    if ready := [line for line in lines if line.has_more()]:
        return ready
    poll = select.poll()
    for line in lines:
        poll.register(line, select.POLLIN)
    found = {fd for fd, _ in poll.poll(timeout * 1000)}
    return [line for line in lines if line.fileno() in found]


def _written(listener: Line, until: bytes = b"") -> set[str] | None:
    """The keys that the messages name, of those that are there or up to one of the kind `until`; None: all may be."""
    written: set[str] | None = set()
    while True:
        kind, *_, named = listener.read()
        if kind == MESSAGE:
            written = _merge(written, None if named is None else {key.decode() for key in named})
        if kind == until or not (until or listener.has_more()):
            return written


def _merge(left: set[str] | None, right: set[str] | None) -> set[str] | None:
    return None if left is None or right is None else left | right
