"""The database behind the driver: what its errors mean, and what to try again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import DataError, Error, InterfaceError, OperationalError, connections

from django_machinery.exceptions import StoreError

T = TypeVar("T")

TRIES = 6
"""How often a transaction is run before a deadlock counts as a failure."""

_DEADLOCK_STATES = {"40001", "40P01"}
# MySQL: deadlock, lock wait timeout; MariaDB: a row was changed since the snapshot.
_DEADLOCK_NUMBERS = {1213, 1205, 1020}
_TOO_LARGE_NUMBER = 1153  # MySQL: longer than max_allowed_packet


@contextmanager
def translated(
    alias: str, unavailable: type[StoreError], failed: type[StoreError], refused: type[StoreError] | None = None
) -> Iterator[None]:
    """Raise what the seams promise for what the database raises; `refused`: it cannot hold a value.

    A connection that failed is closed, so that the next call connects anew; one in a transaction when that ends.
    """
    try:
        yield
    except (DataError, UnicodeError, OverflowError) as error:
        raise (refused or failed)(f'the database "{alias}" refuses a value: {error}') from error
    except (OperationalError, InterfaceError) as error:
        if _is_too_large(error):
            raise (refused or failed)(f'the database "{alias}" refuses a value: {error}') from error
        drop_connection(alias)
        raise unavailable(f'the database "{alias}" cannot be reached: {error}') from error
    except Error as error:
        raise failed(f'the database "{alias}": {error}') from error


def retried(alias: str, work: Callable[[], T]) -> T:
    """Run `work`, which is one transaction, again while it is the victim of deadlocks.

    Not within the caller's transaction, which the deadlock has ended.
    """
    for attempt in range(1, TRIES):
        try:
            return work()
        except OperationalError as error:
            if not _is_deadlock(error) or connections[alias].in_atomic_block:
                raise
            time.sleep(random.uniform(0, 0.005 * 2**attempt))
    return work()


def drop_connection(alias: str) -> None:
    """Close this thread's connection, unless a transaction is open on it."""
    connection = connections[alias]
    if not connection.in_atomic_block:
        connection.close()


def _is_deadlock(error: Error) -> bool:
    return _sqlstate(error) in _DEADLOCK_STATES or _number(error) in _DEADLOCK_NUMBERS


def _is_too_large(error: Error) -> bool:
    """Also PostgreSQL's program limits, such as the size of an index entry."""
    return _sqlstate(error).startswith("54") or _number(error) == _TOO_LARGE_NUMBER


def _sqlstate(error: Error) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _number(error: Error) -> object:
    return error.args[0] if error.args else None
