"""Hot statements, in each engine's own SQL."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from django_machinery.models.sql.base import Connection, Dialect
from django_machinery.models.sql.mysql import MySQL
from django_machinery.models.sql.postgresql import PostgreSQL
from django_machinery.models.sql.sqlite import SQLite

__all__ = ["VENDORS", "Connection", "Dialect", "dialect_for"]

_DIALECTS: dict[str, type[Dialect]] = {"mysql": MySQL, "postgresql": PostgreSQL, "sqlite": SQLite}

VENDORS = frozenset(_DIALECTS)
"""The engines that the queue works on."""


def dialect_for(connection: Connection) -> Dialect:
    """The statements of the engine behind a connection. ImproperlyConfigured for one that the queue cannot use."""
    try:
        return _DIALECTS[connection.vendor](connection)
    except KeyError:
        raise ImproperlyConfigured(
            f'the database "{connection.alias}" is {connection.display_name}: the task queue works on SQLite, '
            "PostgreSQL, MySQL and MariaDB"
        ) from None
