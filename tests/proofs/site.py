"""Where a proof takes place: a server of the queue on a database, and workers in processes of their own."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.db import connections
from django.test import override_settings

from django_machinery import servers
from django_machinery.server import Server
from tests import toys
from tests.databases import environment
from tests.processes import Process
from tests.proofs.runs import RUNS, Runs
from tests.services import scratch_directory, shared

ENGINES = {"sqlite": "default", "postgres": "postgres", "mariadb": "mariadb"}
"""The database aliases of `tests.settings` by what people call them."""


class Site:
    """The server "default" of this process and of its workers. `runs` is what their tasks have recorded."""

    def __init__(self, machinery: dict[str, Any], directory: Path, processes: ExitStack) -> None:
        self.directory = directory
        self.runs = Runs(directory / "runs")
        self._machinery = machinery
        self._processes = processes

    def start(self, *arguments: str) -> Process:
        """Start `python ...` as a process that shares the server, ended with the site if not before."""
        return self._processes.enter_context(Process.python(*arguments, environment=self.environment))

    @property
    def server(self) -> Server:
        return servers["default"]

    @property
    def environment(self) -> dict[str, str]:
        """For processes that share the server."""
        return {
            **environment(),
            "DJANGO_SETTINGS_MODULE": "tests.proofs.settings",
            "MACHINERY_TEST_SERVERS": json.dumps({"default": self._machinery}),
            RUNS: str(self.runs.path),
        }

    def worker(self, *options: str, processes: int = 2, concurrency: int = 8) -> Process:
        """Start `runworker`, which is ended with the site if not before, and return when it consumes."""
        process = self.start_worker(*options, processes=processes, concurrency=concurrency)
        process.wait_for_line("READY", timeout=60)
        return process

    def start_worker(self, *options: str, processes: int = 2, concurrency: int = 8) -> Process:
        """`worker` without waiting."""
        sizes = (f"--processes={processes}", f"--concurrency={concurrency}")
        return self.start("-m", "django", "runworker", "--no-reload", *sizes, *options)


@contextmanager
def site(database: str, directory: Path, *, toy: bool = False, **settings: Any) -> Iterator[Site]:
    """Work on the database of that alias, or with the `toy` that is a broker elsewhere; `settings` are the server's."""
    url = f"orm://{database}"
    machinery: dict[str, Any]
    machinery = {"BROKER": f"leasing://{directory}/messages" if toy else url, "RESULT_BACKEND": url, "LOCK": url}
    machinery |= {"DATABASE": database, "DRIVERS": toys.DRIVERS, **settings}
    with override_settings(MACHINERY={"default": machinery}), ExitStack() as processes:
        yield Site(machinery, directory, processes)


@contextmanager
def new_database(engine: str) -> Iterator[str]:
    """The alias of a new, migrated database, for commands; tests have the fixture `database`."""
    alias = ENGINES[engine]
    shared.open_run()
    try:
        shared.start([alias])
        connection = connections[alias]
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        yield alias
        connection.close()
    finally:
        shared.close_run()


@contextmanager
def new_site(engine: str, *, toy: bool = False, **settings: Any) -> Iterator[Site]:
    """A site on a new database."""
    with (
        scratch_directory() as directory,
        new_database(engine) as alias,
        site(alias, directory, toy=toy, **settings) as place,
    ):
        yield place
