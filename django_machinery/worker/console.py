"""Standard output and error, which may break before the process does: Ctrl-C in `runworker | tee log` ends tee."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOBase
from typing import TextIO

BROKEN = (OSError, ValueError)
"""What writing to a stream raises that is broken, or closed."""


def say(stream: TextIO | TextIOBase, line: str) -> None:
    """Write a line at once. That nobody can read it stops nothing."""
    with suppress(*BROKEN):
        stream.write(f"{line}\n")
        stream.flush()


def flush() -> None:
    """Write out what is buffered, for the last time, and drop what cannot be: Python would end with status 120."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a process without a console has none
        try:
            stream.flush()
        except BROKEN:
            _drop(stream)


def _drop(stream: TextIO) -> None:
    with suppress(*BROKEN):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
