"""What `runworker` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """How a supervisor and its children work."""

    queues: tuple[str, ...]
    processes: int
    concurrency: int
    shutdown_timeout: float
    tag: str = ""
    drain: bool = False
    schedules: bool = True
    """Whether the supervisor sends periodic tasks too."""
    max_tasks: int | None = None
    heartbeat_file: Path | None = None
    verbosity: int = 1
    pythonpath: str | None = None
    """As this command was given it."""
