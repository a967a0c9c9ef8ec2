"""`orm://`: what `manage.py check` says about the database, without connecting to it."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler

from django_machinery.drivers.orm import checks
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.drivers.orm.lock import OrmLock
from tests.contracts.support import config_with

GOOD = {"init_command": "PRAGMA journal_mode = wal", "transaction_mode": "IMMEDIATE", "timeout": 20}


def ids(monkeypatch: pytest.MonkeyPatch, engine: str, name: str = "unused", **options: Any) -> list[str | None]:
    """The ids of what is said about a database with these settings."""
    settings = {"ENGINE": f"django.db.backends.{engine}", "NAME": name, "OPTIONS": options}
    monkeypatch.setattr(checks, "connections", ConnectionHandler({"default": settings}))
    return [message.id for message in checks.check_database("default")]


@pytest.mark.parametrize("driver", [OrmBroker, OrmBackend, OrmLock])
def test_an_alias_that_does_not_exist_is_named_with_those_that_do(driver: type[OrmBroker]):
    (message,) = driver("orm://missing", config_with()).check()
    assert (message.id, message.is_serious()) == ("machinery.E101", True)
    assert "orm://missing" in message.msg
    assert all(alias in str(message.hint) for alias in connections)


def test_an_engine_that_the_queue_cannot_use_is_an_error(monkeypatch: pytest.MonkeyPatch):
    assert ids(monkeypatch, "dummy") == ["machinery.E102"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (GOOD, []),
        ({}, ["machinery.W101", "machinery.W102", "machinery.W103"]),
        ({**GOOD, "init_command": "PRAGMA foreign_keys=on"}, ["machinery.W101"]),
        ({**GOOD, "transaction_mode": None}, ["machinery.W102"]),
        ({**GOOD, "transaction_mode": "exclusive"}, []),
        ({**GOOD, "timeout": 5}, ["machinery.W103"]),
    ],
)
def test_options_with_which_sqlite_fails_under_load_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: list[str]
):
    assert ids(monkeypatch, "sqlite3", **options) == expected


def test_the_hint_can_be_pasted(monkeypatch: pytest.MonkeyPatch):
    ids(monkeypatch, "sqlite3")
    hints = {message.hint for message in checks.check_database("default")}
    (options,) = {str(hint).partition('"OPTIONS": ')[2] for hint in hints}
    assert ids(monkeypatch, "sqlite3", **eval(options)) == []


def test_a_file_that_is_in_wal_mode_already_needs_no_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import sqlite3

    for mode, expected in (("delete", ["machinery.W101"]), ("wal", [])):
        path = tmp_path / mode
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.execute("CREATE TABLE t (id)")
        connection.close()
        options = {**GOOD, "init_command": ""}
        assert ids(monkeypatch, "sqlite3", name=str(path), **options) == expected


def test_a_database_in_memory_has_no_journal(monkeypatch: pytest.MonkeyPatch):
    assert ids(monkeypatch, "sqlite3", name=":memory:", **{**GOOD, "init_command": ""}) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"isolation_level": "READ COMMITTED"}, []),
        ({"isolation_level": "repeatable read"}, ["machinery.W104"]),
        ({"isolation_level": None}, ["machinery.W104"]),
    ],
)
def test_mysql_is_to_be_read_committed(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: list[str]):
    pytest.importorskip("MySQLdb")
    assert ids(monkeypatch, "mysql", **options) == expected


def test_postgresql_needs_no_options(monkeypatch: pytest.MonkeyPatch):
    assert ids(monkeypatch, "postgresql") == []
