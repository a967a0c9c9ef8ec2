"""What the processes of a contender are executed by: the project's Python, a peer's, or the original's program."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.contenders import Entry, Role

VARIABLE = "BENCHMARK_ORIGINAL"
"""The environment variable that tells where the original's program is."""


class Unavailable(Exception):
    """A contender cannot be run here; the message says why."""


@dataclass(frozen=True)
class Executables:
    """Of one contender."""

    python: str = sys.executable  # for the steps
    worker: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


def prepare(entries: Iterable[Entry], directory: Path, scratch: Path) -> tuple[dict[str, Executables], dict[str, str]]:
    """The executables by the entry's key, installed where they are missing; and for the others, why there are none."""
    found: dict[str, Executables] = {}
    missing: dict[str, str] = {}
    for entry in entries:
        try:
            found[entry.key] = _find(entry, directory, scratch)
        except Unavailable as error:
            missing[entry.key] = str(error)
    return found, missing


def _find(entry: Entry, directory: Path, scratch: Path) -> Executables:
    if entry.role is Role.PEER:
        return _peer(entry, directory)
    return _original(scratch) if entry.role is Role.ORIGINAL else Executables()


def _peer(entry: Entry, directory: Path) -> Executables:
    try:
        python = peers.interpreter(entry, directory)
    except peers.PeerUnavailable as error:
        raise Unavailable(str(error)) from error
    return Executables(python, python, version=peers.describe(python, entry))


def _original(scratch: Path) -> Executables:
    from tests.interop.go import SOURCE, missing

    if reason := missing():
        raise Unavailable(reason)
    binary = scratch / "original"
    command = ["go", "build", "-trimpath", "-o", str(binary), "."]
    try:
        subprocess.run(command, cwd=SOURCE, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"The original cannot be built: {error.stderr.strip().splitlines()[-1:]}") from error
    return Executables(worker=str(binary), environment={VARIABLE: str(binary)}, version=_module_version(binary))


def _module_version(binary: Path) -> str:
    """The original's version, and the one of Go."""
    command = ["go", "version", "-m", str(binary)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    module = next(line.split()[2] for line in lines if "RichardKnop/machinery" in line)
    return f"machinery {module}, {lines[0].rpartition(': ')[2]}"
