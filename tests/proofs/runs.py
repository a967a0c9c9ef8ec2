"""What tasks record of their runs in a file, which outlives the processes that write it."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

RUNS = "MACHINERY_PROOF_RUNS"
"""The environment variable with the path of the file."""


class Run(NamedTuple):
    """The start of one run of a task."""

    at: float
    """`time.time()`."""
    pid: int
    task: str
    """Its UUID, or what the task calls itself."""
    words: tuple[str, ...]
    """What else it told, such as its arguments."""


def record(task: str, *words: object) -> None:
    """Add a run of this process. One write, so that a kill leaves a whole line or none."""
    line = " ".join([f"{time.time():.6f}", str(os.getpid()), task, *map(str, words)]) + "\n"
    descriptor = os.open(os.environ[RUNS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Runs:
    """The file, as the proof reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._runs: list[Run] = []
        self._by_task: dict[str, list[Run]] = {}

    def __iter__(self) -> Iterator[Run]:
        """All runs so far, in the order of their writing."""
        self._read_on()
        return iter(list(self._runs))

    def __len__(self) -> int:
        self._read_on()
        return len(self._runs)

    @property
    def by_task(self) -> Mapping[str, Sequence[Run]]:
        """The runs of each task that has run."""
        self._read_on()
        return self._by_task

    def _read_on(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):  # it is being written: read on from its start the next time
                    break
                self._read += len(line)
                at, pid, task, *words = line.decode().split()
                run = Run(float(at), int(pid), task, tuple(words))
                self._runs.append(run)
                self._by_task.setdefault(task, []).append(run)
