"""What a supervisor and its child processes say to each other.

Down goes one byte an order; the end of that pipe means that the supervisor is gone. Up goes a line of JSON a second,
as long as the child's fetch loop moves, and one when it has given back all that it held.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import IntEnum

from django_machinery.worker.figures import Figures

FINISH = b"F"
"""Order: claim nothing more, finish what runs, exit."""
QUIT = b"Q"
"""Order: give back what runs and exit now."""
LOST = b"L"
"""Order: your lease is lost; drop everything and exit."""


class ExitStatus(IntEnum):
    """How a child, or the supervisor, ends."""

    DONE = 0
    """In good order: stopped, drained, or after its last task."""
    CUT_OFF = 1
    """Some tasks were given back while they ran."""
    OVERRUN = 90
    """A task ran longer than its hard timeout."""
    LEASE_LOST = 91
    RECYCLED = 92
    """It has run as many tasks as it was to run; another takes its place."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a child says. `gone`: nothing is held any more, nothing will be claimed."""

    figures: Figures
    gone: bool = False
    ends_by: float | None = None
    """`time.monotonic()`, which is the system's, of the first end of a hard timeout of what runs."""


class ReportWriter:
    """The child's end of the pipe that goes up. A supervisor that does not read, or is gone, hinders nothing."""

    def __init__(self, file: int) -> None:
        self._file = file
        os.set_blocking(file, False)

    def write(self, report: Report) -> None:
        line = json.dumps({**asdict(report.figures), "gone": report.gone, "ends_by": report.ends_by}) + "\n"
        with suppress(OSError):
            os.write(self._file, line.encode())


class ReportReader:
    """The supervisor's end."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._rest = b""
        os.set_blocking(file, False)

    def read(self) -> Iterator[Report]:
        """What has arrived. Raises EOFError at the end of the pipe."""
        data = self._receive()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            values = json.loads(line)
            gone, ends_by = values.pop("gone"), values.pop("ends_by")
            yield Report(Figures(**values), gone, ends_by)

    def _receive(self) -> bytes:
        received = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self._file, 65536):
                received += chunk
            if not received:
                raise EOFError
        return received
