"""How far something is, on a stream: a bar that redraws itself on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable

from django.core.management.base import OutputWrapper

WIDTH = 30
REDRAW = 0.1
"""Seconds between two pictures of the bar."""
LINE = 1.0
"""Seconds between two lines where there is no terminal."""


class ProgressBar:
    """Shows done, tasks per second since `start`, and the time that is left. `clock` counts seconds."""

    def __init__(
        self, out: OutputWrapper, total: int, start: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out
        self._total = total
        self._start = start
        self._clock = clock
        self._terminal = out.isatty()
        self._shown_at = float("-inf")

    def show(self, done: int) -> None:
        """Show a figure, unless one was shown a moment ago."""
        if self._clock() - self._shown_at >= (REDRAW if self._terminal else LINE):
            self._write(done)

    def finish(self, done: int) -> None:
        """Show the last figure and end the line."""
        self._write(done)
        if self._terminal:
            self._out.write("")

    def _write(self, done: int) -> None:
        self._shown_at = self._clock()
        line = progress_line(done, self._total, self._shown_at - self._start)
        if self._terminal:
            self._out.write(f"\r\x1b[K{line}", ending="")
            self._out.flush()
        else:
            self._out.write(line)


def progress_line(done: int, total: int, seconds: float) -> str:
    """The bar and its figures as text."""
    filled = WIDTH * done // total if total else WIDTH
    rate = done / seconds if seconds > 0 else 0.0
    left = f"ETA {(total - done) / rate:.0f} s" if rate else "ETA ?"
    return f"[{'#' * filled}{'-' * (WIDTH - filled)}] {done:,}/{total:,}  {rate:,.0f} tasks/s  {left}"
