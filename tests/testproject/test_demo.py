"""`manage.py demo` as a process: on a small package, and on Django itself where it must not end too soon."""

import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from tests.processes import Process


@pytest.fixture
def demo(tmp_path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*options: str) -> Process:
        environment = {
            "CODEINDEX_DATABASE": str(tmp_path / "db.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "PYTHONWARNINGS": "error",
        }
        started.append(Process.python("manage.py", "demo", *options, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.close()


def worker_pid(process: Process) -> int:
    return int(process.wait_for_line(r"processes under pid (\d+)", timeout=60)[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_indexes_a_package_with_a_worker_of_its_own(demo, tmp_path):
    process = demo("--package", "xdist")
    pid = worker_pid(process)
    assert process.wait(timeout=60) == 0
    assert not is_alive(pid)
    for line in (
        r"^Sent +a chord of \d+ \+ 1 tasks",
        r"^\[#{30}\] (\d+)/\1  [\d,]+ tasks/s",
        r"^Chord +\d+ files in [\d.]+ s",
        r"^ +\d+  in +\d+ files  self$",
        r"^Chain .* is \w+ with \d+ lines$",
        r"^Delayed +0 files changed",
        r"^Retried +succeeded at attempt 2$",
        r"^Figures +\d+ tasks in [\d.]+ s \(\d+ tasks/s\) with 2 processes$",
        r"^Look next$",
    ):
        assert re.search(line, process.output, re.MULTILINE), line
    with sqlite3.connect(tmp_path / "db.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM machinery_message").fetchone() == (0,)
        assert database.execute("SELECT DISTINCT state FROM machinery_task_state").fetchall() == [("SUCCESS",)]
    database.close()


def test_it_stops_its_worker_when_it_is_terminated(demo):
    process = demo()
    pid = worker_pid(process)
    process.terminate()
    assert process.wait(timeout=40) == 128 + signal.SIGTERM
    assert not is_alive(pid)


def test_it_stops_its_worker_when_it_is_interrupted(demo):
    process = demo()
    pid = worker_pid(process)
    process.signal(signal.SIGINT)
    assert process.wait(timeout=40) == 130
    assert "Interrupted; the worker has been stopped." in process.output
    assert not is_alive(pid)


def test_it_fails_when_its_worker_dies(demo):
    process = demo()
    os.kill(worker_pid(process), signal.SIGKILL)
    assert process.wait(timeout=40) == 1
    assert "The worker ended with status -9." in process.output


def test_it_shows_what_a_worker_that_cannot_start_has_written(demo):
    process = demo("--package", "xdist", "--processes", "0")
    assert process.wait(timeout=40) == 1
    assert "The worker ended with status" in process.output
    assert "--processes" in process.output


def test_it_fails_for_a_package_that_is_not_installed(demo):
    process = demo("--package", "no_such_package")
    assert process.wait(timeout=40) == 1
    assert "No package named 'no_such_package' is installed" in process.output
