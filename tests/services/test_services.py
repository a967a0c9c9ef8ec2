"""The harness itself: each server starts, answers, is what it says, and comes back after a crash with its data."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.services import MariaDB, Postgres, Service, require, scratch_directory


def connect(service: Service) -> Any:
    if isinstance(service, Postgres):
        import psycopg

        return psycopg.connect(host=str(service.directory), user="postgres", autocommit=True)
    assert isinstance(service, MariaDB)
    import pymysql

    return pymysql.connect(unix_socket=service.socket_path, user="root", database="mysql", autocommit=True)


def query(service: Service, statement: str) -> list[tuple[Any, ...]]:
    connection = connect(service)
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


@pytest.fixture(scope="module", params=[MariaDB, Postgres], ids=lambda kind: kind.__name__)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A running server; the tests leave it running."""
    require(request.param)
    with scratch_directory() as directory, request.param(directory / "server").running() as server:
        yield server


def test_a_started_server_answers(service: Service):
    assert query(service, "SELECT 1") == [(1,)]


def test_a_server_is_a_child_of_the_tests_and_not_root(service: Service):
    process = f"/proc/{service.pid}"
    if not os.path.exists(process):
        pytest.skip("needs /proc")
    with open(f"{process}/stat") as stat:
        parent = int(stat.read().rpartition(")")[2].split()[1])
    assert parent == os.getpid()
    assert os.stat(process).st_uid != 0


def test_a_stopped_server_is_gone_even_with_a_client_connected(service: Service):
    client, pid = connect(service), service.pid
    service.stop()
    client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    service.start()
    assert service.pid != pid


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_committed_rows_survive_an_end_and_a_new_start(service: Service, end: str):
    query(service, f"CREATE TABLE after_{end} (id INT PRIMARY KEY)")
    query(service, f"INSERT INTO after_{end} VALUES (7)")
    getattr(service, end)()
    service.start()
    assert query(service, f"SELECT id FROM after_{end}") == [(7,)]


@pytest.mark.parametrize("kind", [MariaDB, Postgres])
def test_a_server_that_cannot_start_shows_its_log_and_leaves_no_process(kind: type[Service]):
    require(kind)
    with scratch_directory() as directory:
        directory.chmod(0o777)
        server = kind(directory)
        server.data.mkdir()
        with pytest.raises(RuntimeError, match=f"(?s){kind.name} does not answer:.*data"):
            server.start()
        with pytest.raises(RuntimeError, match="does not run"):
            server.stop()


@pytest.mark.parametrize("kind", [MariaDB, Postgres])
def test_a_missing_server_says_what_to_install(kind: type[Service], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kind, "programs", ("no-such-program",))
    monkeypatch.setattr(kind, "modules", ())
    assert kind.missing() == f"{kind.name} is not available, no-such-program not found: {kind.install}"


def test_a_missing_server_skips_at_home_and_fails_on_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Postgres, "programs", ("no-such-program",))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        require(Postgres)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        require(Postgres)
