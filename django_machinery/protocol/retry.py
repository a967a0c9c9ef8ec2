"""The spacing of retries (retry/fibonacci.go:4-20)."""

from __future__ import annotations

from collections.abc import Iterator


def fibonacci() -> Iterator[int]:
    """1, 1, 2, 3, 5, ...: seconds between attempts to reconnect, without end."""
    current, following = 1, 1
    while True:
        yield current
        current, following = following, current + following


def fibonacci_next(start: int) -> int:
    """The first Fibonacci number above `start`: the RetryTimeout that follows it, in seconds."""
    return next(number for number in fibonacci() if number > start)
