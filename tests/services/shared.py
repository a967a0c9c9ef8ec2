"""The database servers of a whole test run, one a kind, whatever the number of pytest-xdist's processes.

Their sockets lie in RUN, a path that is fixed before Django reads its settings; the servers start later, and only if a
collected test wants them. The processes of the run, and the workers that tests start, find RUN in the environment.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.services import DatabaseServer, MariaDB, Postgres

RUN = Path(os.environ.setdefault("MACHINERY_TEST_RUN", f"{tempfile.gettempdir()}/machinery-{secrets.token_hex(4)}"))
SERVERS: dict[str, DatabaseServer] = {"mariadb": MariaDB(RUN / "mariadb"), "postgres": Postgres(RUN / "postgres")}

_started: list[DatabaseServer] = []


def available() -> dict[str, DatabaseServer]:
    """The servers that can be started here, by database alias."""
    return {alias: server for alias, server in SERVERS.items() if not server.missing()}


def open_run() -> None:
    """Make RUN, passable for the accounts that servers run as."""
    RUN.mkdir()
    RUN.chmod(0o711)


def start(aliases: Iterable[str]) -> None:
    """Start the servers of `aliases` that do not run yet; an alias that has no server needs none."""
    for alias, server in available().items():
        if alias in aliases and server not in _started:
            server.start()
            _started.append(server)


def close_run() -> None:
    """Stop what `start` started and remove RUN."""
    while _started:
        _started.pop().stop()
    shutil.rmtree(RUN)
