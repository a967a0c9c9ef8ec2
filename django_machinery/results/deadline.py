"""A time limit shared by several waits."""

from __future__ import annotations

import time

_FOREVER = 1e9


class Deadline:
    """Counts down from `timeout` seconds on the monotonic clock; None never ends."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = time.monotonic() + (_FOREVER if timeout is None else timeout)

    @property
    def left(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())
