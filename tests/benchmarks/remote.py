"""A contender's process, seen from the benchmark."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from tests.processes import Process
from tests.waiting import wait_until


class Remote:
    """Makes a contender do one step at a time (`steps.serve` is the other end)."""

    def __init__(self, process: Process, connection: Connection) -> None:
        self._process = process
        self._connection = connection

    def __call__(self, step: str, *arguments: Any, limit: float) -> Any:
        """What the step returns. Raises RuntimeError, with the process's output, when it fails or takes too long."""
        self._connection.send((step, *arguments))
        try:
            if self._connection.poll(limit):
                return self._connection.recv()
        except EOFError:
            self._process.wait()
            raise RuntimeError(f"{step} failed:\n{self._process.output}") from None
        raise RuntimeError(f"{step} did not end within {limit} s:\n{self._process.output}")


@contextmanager
def remote(python: str, module: str, environment: Mapping[str, str]) -> Iterator[Remote]:
    """Run `python -m module` as a contender while the block lasts."""
    address = str(Path(tempfile.gettempdir()) / f"machinery-{secrets.token_hex(4)}")
    with Process(python, "-m", module, address, environment=environment) as process:
        with _connect(process, address) as connection:
            yield Remote(process, connection)
        process.wait()


def _connect(process: Process, address: str) -> Connection:
    def attempt() -> Connection | None:
        if process.returncode is not None:
            raise RuntimeError(f"{process.command} ended:\n{process.output}")
        try:
            return Client(address, "AF_UNIX")
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    connection = wait_until(attempt, timeout=30.0, message=lambda: process.output)
    assert connection is not None
    return connection
