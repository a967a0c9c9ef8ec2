"""Waiting for a condition with a deadline: the only way in which tests wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    *,
    timeout: float = 10.0,
    interval: float = 0.02,
    message: str | Callable[[], str] = "",
) -> T:
    """Return the first truthy value of `condition`, asked every `interval` seconds.

    Raises TimeoutError after `timeout` seconds, with the last value and `message`, called then if it is callable.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            reason = message() if callable(message) else message
            raise TimeoutError(f"not within {timeout} s: {reason or condition}; the last value was {value!r}")
        time.sleep(interval)
    return value
