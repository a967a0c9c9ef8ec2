"""How an idle consumer waits: a message moves to the process's landing list, where its next claim finds it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.client import Client
    from django_machinery.drivers.redis.keys import QueueKeys
    from django_machinery.drivers.redis.line import Line
    from django_machinery.drivers.redis.script import Command

LONGEST = 1.0
"""Seconds that Redis blocks: what it moves when its client is long gone is found by sweeps, but not for ever."""


class Waiter:
    """Waits for all queues at once, each over a line of its own. `wait` is called by one thread, `wake` by any."""

    def __init__(self, client: Client, queues: Sequence[QueueKeys], token: str, config: ServerConfig) -> None:
        self._client = client
        self._token = token
        self._longest = min(LONGEST, (config.redis_normal_tasks_poll_period or LONGEST * 1000) / 1000)
        self._patience = client.connector.timeout
        self._has_priorities = config.redis_priorities
        self._lines: list[Line] = []
        self.watch(queues)
        self._bell: Bell | None = None
        self._woken = False
        """Somebody rang before there was a bell."""

    def watch(self, queues: Sequence[QueueKeys]) -> None:
        """Wait for messages of these queues from now on. From the thread that waits."""
        self._close_lines()
        self._sources = [(keys, keys.queue) for keys in queues]
        if self._has_priorities:
            self._sources += [(keys, keys.bell) for keys in queues]

    def wait(self, timeout: float, *, takes_messages: bool) -> None:
        """See `Consumer.wait`. Without `takes_messages` only `wake` ends it early."""
        deadline = time.monotonic() + timeout
        if self._bell is None:
            self._bell = Bell()
        if self._rang(0.0 if takes_messages else timeout):
            return
        while takes_messages and (left := deadline - time.monotonic()) > 0:
            try:
                takes_messages = not self._block(min(left, self._longest))
            except BaseException:
                self._close_lines()
                raise

    def wake(self) -> None:
        self._woken = True
        if self._bell is not None:
            self._bell.ring()

    def close(self) -> None:
        self._close_lines()
        if self._bell is not None:
            self._bell.close()

    def _block(self, seconds: float) -> bool:
        """Whether a message came or somebody rang."""
        if any(line.is_doubtful for line in self._lines):
            self._close_lines()
        if not self._lines:
            self._lines = [self._client.line(keys.queue) for keys, _ in self._sources]
        for line, source in zip(self._lines, self._sources, strict=True):
            line.send(self._commands(*source, f"{seconds:.3f}"))
        for line in self._lines:
            line.read()
        answered = [line for line in self._lines if line.has_more()] or self._poll(seconds)
        rang = self._rang(0.0)
        if not answered and not rang:
            self._lines[0].give_up()
        for line in self._lines:
            if line not in answered:
                line.unblock()
        replies = [line.read() for line in self._lines]
        return rang or any(reply is not None for reply in replies)

    def _commands(self, keys: QueueKeys, source: str, seconds: str) -> list[Command]:
        """A process is to be known as a holder before anything can land with it."""
        if source == keys.bell:
            wait: Command = ("BLPOP", source, seconds)
        else:
            wait = ("BLMOVE", source, keys.landing(self._token), "LEFT", "RIGHT", seconds)
        return [("SADD", keys.holders, self._token), wait]

    def _poll(self, seconds: float) -> list[Line]:
        """The lines that have an answer, once one has; none when somebody rings, or when Redis is silent."""
        assert self._bell is not None
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for line in self._lines:
            poll.register(line, select.POLLIN)
        ready = {fd for fd, _ in poll.poll((seconds + self._patience) * 1000)}
        return [line for line in self._lines if line.fileno() in ready]

    def _rang(self, seconds: float) -> bool:
        """Whether somebody rings within that time, or did already; the bell is silent afterwards."""
        assert self._bell is not None
        rang = self._bell.rang(0.0 if self._woken else seconds)
        rang, self._woken = rang or self._woken, False
        return rang

    def _close_lines(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            line.close()


class Bell:
    """What a signal handler may ring, and `select.poll` can wait for."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def fileno(self) -> int:
        return self._inside.fileno()

    def ring(self) -> None:
        with suppress(OSError):  # full: it was rung often enough; closed: nobody listens any more
            self._outside.send(b"!")

    def rang(self, seconds: float) -> bool:
        """Whether it rings within that time; silences it."""
        poll = select.poll()
        poll.register(self._inside, select.POLLIN)
        rang = bool(poll.poll(seconds * 1000))
        with suppress(BlockingIOError):
            while rang and self._inside.recv(4096):
                pass
        return rang

    def close(self) -> None:
        self._inside.close()
        self._outside.close()
