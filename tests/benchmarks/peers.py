"""The virtual environment that peers run in, so that the test suite does not depend on them."""

import subprocess
import sys
import venv
from pathlib import Path

from tests.processes import ROOT

DIRECTORY = ROOT / ".tox" / "benchmark-peers"
REQUIREMENTS = (
    "arq",
    "celery[redis]",
    "dramatiq[redis]",
    "hiredis",
    "huey",
    "procrastinate",
    "psycopg[binary]",
    "rq",
    "taskiq",
    "taskiq-redis",
)
INSTALL_SECONDS = 300
VERSIONS = """
import importlib.metadata
names = "arq celery dramatiq huey procrastinate psycopg redis rq taskiq".split()
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
"""


class PeersUnavailable(Exception):
    """The peers could not be installed; the message says why."""


def interpreter(directory: Path = DIRECTORY) -> str:
    """The Python that has the peers; its environment is made when there is none. Raises PeersUnavailable."""
    python = directory / "bin" / "python"
    if not (directory / "complete").exists():
        sys.stderr.write(f"installing {', '.join(REQUIREMENTS)} into {directory.name}\n")
        venv.create(directory, with_pip=True, clear=True)
        _install(python)
        (directory / "complete").touch()
    return str(python)


def describe(python: str) -> str:
    """Names and versions."""
    return subprocess.run(
        [python, "-c", VERSIONS], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


def _install(python: Path) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        raise PeersUnavailable(f"pip could not install them: {error.stderr.strip().splitlines()[-1:]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeersUnavailable(f"pip did not install them within {INSTALL_SECONDS} s") from error
