"""The lock on a Django database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from django.db import connections

from django_machinery.conf import parse_url
from django_machinery.drivers.orm.checks import check_database
from django_machinery.drivers.orm.store import retried, translated
from django_machinery.exceptions import LockError, LockUnavailable
from django_machinery.models import Lock as LockRow
from django_machinery.models.lock import LockManager
from django_machinery.seams.lock import Lock

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig

LONGEST_KEY = 255
"""Bytes of a key that fit into its column; of a longer one the end is a hash."""


class OrmLock(Lock):
    """Locks are rows: `orm://alias`.

    They commit by themselves, within a transaction of the caller on a connection of their own. SQLite has one writer,
    which the caller may be: there `LockError` is raised instead.
    """

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._alias = parse_url(url)[1]
        self._tokens: dict[str, str] = {}

    def acquire(self, key: str, until: datetime) -> bool:
        token = secrets.token_hex(16)
        with self._rows() as rows:
            taken = retried(self._alias, lambda: rows.acquire(_name(key), until, token))
        if taken:
            self._tokens[key] = token
        return taken

    def release(self, key: str) -> bool:
        with self._rows() as rows:
            return retried(self._alias, lambda: rows.release(_name(key), self._tokens.get(key, "")))

    def held_until(self, key: str) -> datetime | None:
        with self._rows() as rows:
            return rows.held_until(_name(key))

    def check(self) -> list[CheckMessage]:
        return check_database(self._alias)

    @contextmanager
    def _rows(self) -> Iterator[LockManager]:
        """The locks, outside of any transaction."""
        with translated(self._alias, LockUnavailable, LockError), outside_transactions(self._alias):
            yield LockRow.objects.db_manager(self._alias)


@contextmanager
def outside_transactions(alias: str) -> Iterator[None]:
    """Put a connection of its own in the place of this thread's, where that has a transaction open."""
    callers = connections[alias]
    if not callers.in_atomic_block:
        yield
        return
    if callers.vendor == "sqlite":
        raise LockError(f'a lock on the SQLite database "{alias}" cannot be taken or freed within a transaction on it')
    connections[alias] = connections.create_connection(alias)
    try:
        yield
    finally:
        connections[alias].close()
        connections[alias] = callers


def _name(key: str) -> str:
    raw = key.encode()
    if len(raw) <= LONGEST_KEY:
        return key
    return raw[: LONGEST_KEY - 65].decode(errors="ignore") + "#" + sha256(raw).hexdigest()
