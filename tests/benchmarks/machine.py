"""What the figures were measured on."""

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.processes import ROOT
from tests.services import Postgres, Redis


def describe() -> dict[str, str]:
    """Machine, date and versions, by their titles."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "CPU": f"{_processor()}, {os.cpu_count()} cores",
        "load before": load(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Django": version("Django"),
        "PostgreSQL": _output(Postgres.program("postgres") or "", "--version").removeprefix("postgres (PostgreSQL) "),
        "psycopg": version("psycopg"),
        "SQLite": sqlite3.sqlite_version,
        "Redis": _output(Redis.program("redis-server") or "", "--version").partition(" v=")[2].partition(" ")[0],
        "redis-py": version("redis"),
    }


def load() -> str:
    """How many processes have wanted to run during the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _output(*command: str) -> str:
    """What a command prints, "unknown" where it cannot be run."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
