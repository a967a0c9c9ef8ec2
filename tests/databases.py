"""The databases that tests run on: one alias an engine, real commits, reachable by real worker processes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from tests.services import DatabaseServer, scratch_directory
from tests.services.shared import SERVERS

ALIASES = ("default", "mariadb", "postgres")


def on_databases(*aliases: str) -> pytest.MarkDecorator:
    """Run a test, or a class, on these instead of all: `@on_databases("postgres")` above a user of `database`."""
    return pytest.mark.parametrize("database", database_params(*aliases), indirect=True)


def database_params(*aliases: str) -> list[Any]:
    """Parameters for the fixture `database`; each brings the mark that lets its test commit to that one alias."""
    return [pytest.param(alias, marks=_marks(alias)) for alias in aliases or ALIASES]


def environment() -> dict[str, str]:
    """The environment in which a Django process works on exactly the databases of the running test.

    Raises RuntimeError inside a transaction, which another process could not see into.
    """
    targets = {}
    for alias in connections:
        connection = connections[alias]
        if connection.in_atomic_block:
            raise RuntimeError(f'a test in a transaction on "{alias}" shares nothing: use the fixture `database`')
        targets[alias] = {key: str(connection.settings_dict[key]) for key in ("NAME", "HOST")}
    return {"DJANGO_SETTINGS_MODULE": "tests.settings_worker", "MACHINERY_TEST_DATABASES": json.dumps(targets)}


@contextmanager
def own_server(alias: str) -> Iterator[DatabaseServer]:
    """Point the connections of `alias` at a migrated database on a server that the test may stop, kill and restart."""
    connection = connections[alias]
    connection.close()
    shared = dict(connection.settings_dict)
    with scratch_directory() as directory, type(SERVERS[alias])(directory).running() as server:
        connection.settings_dict["HOST"] = server.django()["HOST"]
        try:
            connection.creation.create_test_db(verbosity=0, autoclobber=True)
            yield server
        finally:
            connection.close()
            connection.settings_dict.update(shared)


def _marks(alias: str) -> list[pytest.MarkDecorator]:
    if alias in SERVERS and SERVERS[alias].missing():
        return []
    return [pytest.mark.django_db(transaction=True, databases=[alias])]
