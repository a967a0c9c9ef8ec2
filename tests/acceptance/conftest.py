"""Real workers: `manage.py runworker` with its child processes, on real databases."""

import json
import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from django_machinery import servers
from django_machinery.server import Server
from tests.app.tasks import RECORD
from tests.processes import Process
from tests.waiting import wait_until

logger = logging.getLogger(__name__)

LEASE = 2.0
"""Seconds: short enough to see its end, long enough for a busy machine to renew it."""


BREAK = """
import os, sys
reading, writing = os.pipe()
os.close(reading)
for number in sys.argv[1].split(","):
    os.dup2(writing, int(number))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Executes `python ...` with pipes that nobody reads."""


class RunningWorker:
    """A supervisor and its children."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.process.output

    def children(self) -> list[int]:
        """The process ids of its children."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def signal_children(self, number: int) -> None:
        for pid in self.children():
            os.kill(pid, number)

    def wait_for_ready(self) -> None:
        self.process.wait_for_line("^READY: ", timeout=30)

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=30)
        logger.info("A worker ended with status %d:\n%s", status, self.output)  # shown with a test that fails
        return status


StartWorker = Callable[..., RunningWorker]


@pytest.fixture
def server(database: str) -> Server:
    """The server of the test's own process, on the database of the workers."""
    return servers[database]


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tasks leave their traces in, for the workers too."""
    path = tmp_path / "record"
    monkeypatch.setenv(RECORD, str(path))
    return path


@pytest.fixture
def start_worker(spawn: Callable[..., Process], database: str) -> StartWorker:
    """Start `runworker` for the server of `database`: `start_worker("--drain", LEASE=5)`. On return it consumes.

    `broken`: file descriptors that are pipes which nobody reads any more.
    """

    def start(
        *options: str, wait: bool = True, debug: bool = False, broken: Sequence[int] = (), **settings: Any
    ) -> RunningWorker:
        variables = {
            "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings",
            "MACHINERY_TEST_SERVER": json.dumps({"LEASE": LEASE, "CONCURRENCY": 2, **settings}),
            "MACHINERY_TEST_DEBUG": "1" if debug else "0",
        }
        if broken:
            variables["PYTHONUNBUFFERED"] = ""  # as it is by default: what cannot be written waits for the end
        prefix = ["-c", BREAK, ",".join(map(str, broken))] if broken else []
        command = [*prefix, "-m", "django", "runworker", f"--server={database}", *options]
        worker = RunningWorker(spawn(*command, **variables))
        if wait:
            worker.wait_for_ready()
        return worker

    return start


@pytest.fixture
def gate(tmp_path: Path) -> "Gate":
    return Gate(tmp_path / "gate")


class Gate:
    """What the task `hold` waits for."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def open(self) -> None:
        Path(self.path).touch()


def wait_for(condition: Callable[[], Any], *workers: RunningWorker, timeout: float = 20.0) -> Any:
    """`wait_until`, with the output of the workers where it never comes true."""
    return wait_until(condition, timeout=timeout, message=lambda: "\n".join(worker.output for worker in workers))
