"""Django's database connections of the threads that run tasks.

They live across tasks, which `close_old_connections` would not allow with the default CONN_MAX_AGE of 0. Only what a
thread has opened itself is looked after, so that a task without a database costs nothing.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

CHECK_AGE = 1.0
"""Seconds after which a connection is asked whether it still works before a task gets it."""

PSYCOPG_IN_TRANSACTION = (1, 2, 3)
"""Active, in a transaction, in one that failed: psycopg 2 and 3 have these numbers from libpq."""
MYSQL_IN_TRANSACTION = 1
"""The flag of the protocol, as PyMySQL keeps it."""

logger = logging.getLogger("django_machinery.workers")
_thread = threading.local()


class ThreadConnections:
    """The connections of the thread that makes this object."""

    def __init__(self) -> None:
        self._opened: list[BaseDatabaseWrapper] = []
        self._checked = monotonic()
        _thread.opened = self._opened

    def before_task(self) -> None:
        """Close what a database has dropped meanwhile: the task connects anew."""
        if self._opened and monotonic() - self._checked > CHECK_AGE:
            self._checked = monotonic()
            for connection in self._opened:
                if connection.connection is not None and not connection.is_usable():
                    connection.close()

    def after_task(self) -> None:
        """Leave nothing of the task behind: no transaction, no broken connection, no log of queries."""
        for connection in self._opened:
            connection.queries_log.clear()
            if connection.connection is None:
                continue
            if _in_transaction(connection):
                logger.warning("A task left a transaction open on %r, which is rolled back", connection.alias)
                _close(connection)
            elif not _may_stay(connection):
                _close(connection)

    def close(self) -> None:
        """Close them all, at the end of the thread."""
        self._opened.clear()
        connections.close_all()


def close_broken() -> None:
    """After an error of a store: close those connections of this thread that cannot be used any more."""
    for connection in connections.all(initialized_only=True):
        with suppress(Exception):
            connection.close_if_unusable_or_obsolete()


def forget_queries() -> None:
    """With DEBUG Django keeps the last 9,000 statements of each connection: let those of this thread go."""
    if settings.DEBUG:
        reset_queries()


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Also in one that was begun by a statement, which Django does not see. The driver knows, and asks nobody.

    With mysqlclient, which does not tell, only in one of Django's.
    """
    if connection.in_atomic_block:
        return True
    driver: Any = connection.connection
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    if connection.vendor == "postgresql":
        return driver.info.transaction_status in PSYCOPG_IN_TRANSACTION
    return bool((getattr(driver, "server_status", 0) or 0) & MYSQL_IN_TRANSACTION)


def _may_stay(connection: BaseDatabaseWrapper) -> bool:
    if connection.get_autocommit() != connection.settings_dict["AUTOCOMMIT"]:
        return False
    if connection.settings_dict["OPTIONS"].get("pool"):
        return False  # it goes back to the pool, which other threads share
    if connection.settings_dict["CONN_MAX_AGE"] and _is_old(connection):
        return False
    if connection.errors_occurred:
        connection.errors_occurred = False
        return connection.is_usable()
    return True


def _is_old(connection: BaseDatabaseWrapper) -> bool:
    return connection.close_at is not None and monotonic() >= connection.close_at


def _close(connection: BaseDatabaseWrapper) -> None:
    """Also inside a transaction that the task has left open, which ends with the connection."""
    connection.in_atomic_block = False
    connection.close()


def _remember(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    opened: list[BaseDatabaseWrapper] | None = getattr(_thread, "opened", None)
    if opened is not None and connection not in opened:
        opened.append(connection)


connection_created.connect(_remember)
