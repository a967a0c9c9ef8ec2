"""From what redis-py raises to what the seams promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from django_machinery.conf import redact
from django_machinery.exceptions import (
    BackendError,
    BackendUnavailable,
    BrokerError,
    BrokerUnavailable,
    LockError,
    LockUnavailable,
    StoreError,
)

_PASSING = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.exceptions.ClusterError,
    redis.exceptions.TryAgainError,
    redis.exceptions.MovedError,
    OSError,
)
"""What the same call may not meet again: connections, a failover, full memory."""
_PASSING_CODES = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")
_PASSING_WORDS = ("READONLY", "OOM command not allowed")
"""Redis before version 7 wraps an error of a command into one of the script."""
_LASTING = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


@dataclass(frozen=True, slots=True)
class Errors:
    """The two errors of a seam."""

    unavailable: type[StoreError]
    refused: type[StoreError]


BROKER = Errors(BrokerUnavailable, BrokerError)
BACKEND = Errors(BackendUnavailable, BackendError)
LOCK = Errors(LockUnavailable, LockError)


@contextmanager
def translated(errors: Errors) -> Iterator[None]:
    """Raise an error of redis-py, or of the network, as one of `errors`."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise translate(error, errors) from error


def translate(error: Exception, errors: Errors) -> StoreError:
    """The error of a seam that tells what went wrong."""
    kind = errors.unavailable if passes(error) else errors.refused
    return kind(f"Redis: {redact(str(error)) or type(error).__name__}")


def is_full(error: StoreError) -> bool:
    """Was a command refused because Redis has no memory left?"""
    return isinstance(error.__cause__, redis.OutOfMemoryError)


def passes(error: Exception) -> bool:
    """May the same call succeed later?"""
    if isinstance(error, _LASTING):
        return False
    text = str(error)
    return (
        isinstance(error, _PASSING)
        or text.split(" ", 1)[0] in _PASSING_CODES
        or any(words in text for words in _PASSING_WORDS)
    )
