"""A worker as a child process of this one, for as long as a `with` block lasts."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connections

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
PATIENCE = 30.0
"""Seconds that a worker has to finish what it runs; its own limit is 25."""


class WorkerDied(Exception):
    """The worker ended by itself; `str` says how, with the last lines that it wrote."""


class ChildWorker:
    """`manage.py runworker`, writing to a file."""

    def __init__(self, process: subprocess.Popen[bytes], processes: int, log: IO[bytes]) -> None:
        self.processes = processes
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise `WorkerDied` unless it runs."""
        status = self._process.poll()
        if status is not None:
            raise WorkerDied(f"The worker ended with status {status}.\n{self.last_lines()}")

    def last_lines(self, count: int = 20) -> str:
        """The end of what it wrote."""
        text = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")
        return "\n".join(text.splitlines()[-count:])

    def stop(self) -> int:
        """Ask it to finish what it runs and wait for its end; returns its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@contextmanager
def running_worker(processes: int) -> Iterator[ChildWorker]:
    """A worker of this project with that many processes, on the databases of this process."""
    command = [sys.executable, str(MANAGE), "runworker", "--no-reload", f"--processes={processes}"]
    environment = {**os.environ, "DEBUG": "0", "CODEINDEX_DATABASE": str(settings.DATABASES["default"]["NAME"])}
    with tempfile.TemporaryFile() as log, _termination_as_exit():
        # A session of its own: Ctrl-C in the terminal reaches this process alone, which then stops the worker in order.
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        worker = ChildWorker(process, processes, log)
        try:
            yield worker
        finally:
            # An interruption may have left a transaction open, whose lock the worker would wait for.
            connections.close_all()
            worker.stop()


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that the worker is stopped before this process ends."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
