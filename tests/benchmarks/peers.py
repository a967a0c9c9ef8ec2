"""The virtual environments that peers run in: one each, because what they ask of redis-py excludes one another."""

import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.contenders import Entry
from tests.processes import ROOT

DIRECTORY = ROOT / ".tox" / "benchmark-peers"
INSTALL_SECONDS = 300
VERSIONS = """
import importlib.metadata, sys
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]))
"""


class PeerUnavailable(Exception):
    """A peer could not be installed; the message says why."""


def interpreter(entry: Entry, directory: Path = DIRECTORY) -> str:
    """The Python that has this peer; its environment is made when there is none. Raises PeerUnavailable."""
    home = directory / entry.name.lower()
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        sys.stderr.write(f"installing {', '.join(entry.packages)} into {home.name}\n")
        venv.create(home, with_pip=True, clear=True)
        _install(python, entry.packages)
        (home / "complete").touch()
    return str(python)


def describe(python: str, entry: Entry) -> str:
    """Names and versions."""
    names = [package.partition("[")[0] for package in entry.packages]
    command = [python, "-c", VERSIONS, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _install(python: Path, packages: Iterable[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailable(f"pip could not install it: {error.stderr.strip().splitlines()[-1:]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"pip did not install it within {INSTALL_SECONDS} s") from error
