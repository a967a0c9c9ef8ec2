"""What tests are promised of their databases: real commits that real processes see, and a server they may crash."""

from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.db import InterfaceError, OperationalError, connections, transaction
from django.test.utils import get_unique_databases_and_mirrors

from tests.databases import environment, on_databases
from tests.processes import Process
from tests.services import DatabaseServer, shared

COUNT = """
import sys, django
django.setup()
from django.db import connections
with connections[sys.argv[1]].cursor() as cursor:
    cursor.execute("SELECT COUNT(*) FROM seen")
    print("rows:", *cursor.fetchone())
"""


def execute(alias: str, statement: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def seen(database: str) -> Iterator[str]:
    """A table of the test's own."""
    execute(database, "CREATE TABLE seen (id INT PRIMARY KEY)")
    yield database
    execute(database, "DROP TABLE seen")


def test_a_spawned_process_reads_what_the_test_committed(seen: str, spawn: Callable[..., Process]):
    with transaction.atomic(using=seen):
        execute(seen, "INSERT INTO seen VALUES (1), (2), (3)")
    process = spawn("-c", COUNT, seen)
    assert (process.wait(), process.output) == (0, "rows: 3\n")


def test_a_transaction_is_refused_because_no_process_could_see_into_it(database: str):
    with transaction.atomic(using=database), pytest.raises(RuntimeError, match="use the fixture `database`"):
        environment()


@on_databases("mariadb", "postgres")
def test_a_server_of_its_own_comes_back_with_its_migrated_database(database: str, own_database: DatabaseServer):
    tables = {model._meta.db_table for model in apps.get_models()}
    assert tables <= set(connections[database].introspection.table_names())
    own_database.kill()
    with pytest.raises((InterfaceError, OperationalError)):
        execute(database, "SELECT 1")
    connections[database].close()
    own_database.start()
    assert tables <= set(connections[database].introspection.table_names())


@on_databases("mariadb", "postgres")
def test_afterwards_the_connection_is_on_the_server_of_the_run_again(database: str):
    assert connections[database].settings_dict["HOST"].startswith(str(shared.RUN))


@pytest.mark.parametrize("alias", list(connections))
def test_each_database_can_be_set_up_without_the_others(alias: str):
    databases, _ = get_unique_databases_and_mirrors({alias})
    assert [list(aliases) for _, aliases in databases.values()] == [[alias]]
