"""Signals and other threads' calls, brought to the main thread by a pipe that it can wait for."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress


class Wakeup:
    """What the main thread has to hear, in order. `file` becomes readable when there is something."""

    def __init__(self) -> None:
        self.file, self._write = os.pipe()
        self._calls: deque[Callable[[], None]] = deque()
        os.set_blocking(self.file, False)
        os.set_blocking(self._write, False)

    @contextmanager
    def signals(self, numbers: Iterable[signal.Signals]) -> Iterator[None]:
        """Receive these signals instead of what would happen at them. To be used in the main thread."""
        before = {number: signal.signal(number, _ignore) for number in numbers}
        wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def call(self, function: Callable[[], None]) -> None:
        """Have the main thread call `function`. From any thread."""
        self._calls.append(function)
        with suppress(BlockingIOError):  # full: the main thread will look anyway
            os.write(self._write, b"\0")

    def receive(self) -> list[int]:
        """Do what other threads asked for, and return the numbers of the signals that have come."""
        received = b""
        with suppress(BlockingIOError):
            received = os.read(self.file, 4096)
        while self._calls:
            self._calls.popleft()()
        return [number for number in received if number]

    def close(self) -> None:
        os.close(self.file)
        os.close(self._write)


def _ignore(*_: object) -> None:
    pass
