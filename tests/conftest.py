"""Fixtures and the life of the servers. See `tests.databases` and `tests.services` for what the fixtures hand out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import django
import pytest
from django.conf import settings

from tests.databases import database_params, environment, own_server
from tests.processes import Process
from tests.services import DatabaseServer, require, shared

pytest_plugins = ["django_machinery.pytest_plugin"]
pytest.register_assert_rewrite("tests.contracts")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-django", type=int, metavar="N", help="fail unless this is Django N or newer")


def pytest_report_header(config: pytest.Config) -> str:
    with_admin = "django.contrib.admin" in settings.INSTALLED_APPS
    return "" if with_admin else "admin pages: left out; pytest --ds tests.settings_admin tests/admin tests/browser"


def pytest_configure(config: pytest.Config) -> None:
    required = config.getoption("--require-django")
    if required and django.VERSION[0] < required:
        raise pytest.UsageError(f"this run is to show Django {required}, but runs Django {django.get_version()}")
    if not _is_xdist_worker(config):
        shared.open_run()


def pytest_sessionstart(session: pytest.Session) -> None:
    # Of pytest-xdist's processes only the first starts servers, and it collects nothing that could tell which.
    if session.config.getoption("dist", "no") != "no" and not _is_xdist_worker(session.config):
        shared.start(shared.SERVERS)


def pytest_collection_finish(session: pytest.Session) -> None:
    if not (session.config.option.collectonly or _is_xdist_worker(session.config)):
        marks = [mark for item in session.items for mark in item.iter_markers("django_db")]
        shared.start({alias for mark in marks for alias in mark.kwargs.get("databases") or ()})


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_xdist_worker(config) and shared.RUN.exists():
        shared.close_run()


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture(params=database_params())
def database(request: pytest.FixtureRequest) -> str:
    """The alias of a migrated database with real commits: the test runs once an engine."""
    alias: str = request.param
    if alias in shared.SERVERS:
        require(type(shared.SERVERS[alias]))
    return alias


@pytest.fixture
def own_database(database: str) -> Iterator[DatabaseServer]:
    """The server behind `database`, for this test alone, which may stop, kill and restart it: not for SQLite."""
    with own_server(database) as server:
        yield server


@pytest.fixture
def spawn() -> Iterator[Callable[..., Process]]:
    """Start `python ...` on the databases of the test: `spawn("-m", "django", "runworker")`. All are ended with it."""
    with ExitStack() as processes:

        def start(*arguments: str, **variables: str) -> Process:
            return processes.enter_context(Process.python(*arguments, environment={**environment(), **variables}))

        yield start
