"""What `manage.py check` says about a database that the queue works on, from its settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from django_machinery.conf import redact
from django_machinery.models.sql import VENDORS

SHORTEST_TIMEOUT = 20
"""Seconds that a writer waits for its turn on SQLite."""
_OPTIONS = '"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}'


def check_database(alias: str) -> list[CheckMessage]:
    """Ids machinery.E101 and on, machinery.W101 and on."""
    if alias not in connections.settings:
        known = ", ".join(sorted(connections.settings))
        return [
            Error(
                f"{redact(f'orm://{alias}')} names no database.",
                hint=f"DATABASES has: {known}. Write orm:// and one of these.",
                id="machinery.E101",
            )
        ]
    connection = connections[alias]
    if connection.vendor not in VENDORS:
        hint = "Use a database alias on SQLite, PostgreSQL, MySQL or MariaDB."
        return [
            Error(
                f'The task queue cannot work on "{alias}", {connection.display_name}.', hint=hint, id="machinery.E102"
            )
        ]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor == "sqlite":
        return list(_sqlite(alias, options, connection.settings_dict["NAME"]))
    return list(_mysql(alias, options)) if connection.vendor == "mysql" else []


def _sqlite(alias: str, options: dict[str, Any], name: Any) -> Iterator[CheckMessage]:
    hint = f"In DATABASES[{alias!r}]: {_OPTIONS}"
    if not _is_wal(options, name):
        yield Warning(
            f'The SQLite database "{alias}" is not in WAL mode: workers and requests block each other.',
            hint=hint,
            id="machinery.W101",
        )
    if str(options.get("transaction_mode") or "").upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Warning(
            f'Transactions on the SQLite database "{alias}" begin as readers: one that then writes fails at once, '
            'whatever the timeout, with "database is locked".',
            hint=hint,
            id="machinery.W102",
        )
    if float(options.get("timeout", 5)) < SHORTEST_TIMEOUT:
        yield Warning(
            f'Writers to the SQLite database "{alias}" wait less than {SHORTEST_TIMEOUT} seconds for their turn.',
            hint=hint,
            id="machinery.W103",
        )


def _is_wal(options: dict[str, Any], name: Any) -> bool:
    """By the settings, or by the file itself: its 19th byte is 2 in WAL mode. A database in memory has no journal."""
    if "journal_mode=wal" in str(options.get("init_command", "")).lower().replace(" ", ""):
        return True
    if ":memory:" in str(name) or "mode=memory" in str(name):
        return True
    with suppress(OSError), Path(name).open("rb") as file:
        return file.read(20)[18:19] == b"\2"
    return False


def _mysql(alias: str, options: dict[str, Any]) -> Iterator[CheckMessage]:
    # Django's own default is READ COMMITTED.
    level = str(options.get("isolation_level", "read committed") or "the default of the server").lower()
    if level not in ("read committed", "read uncommitted"):
        yield Warning(
            f'Transactions on "{alias}" are isolated by {level}: claims lock more than their own rows.',
            hint=f'In DATABASES[{alias!r}]: "OPTIONS": {{"isolation_level": "read committed"}}',
            id="machinery.W104",
        )
