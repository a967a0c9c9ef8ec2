"""What a crew works under, and what of it the settings say where nobody says it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django_machinery.conf import ServerConfig
from django_machinery.worker.fetcher import Suspects
from django_machinery.worker.hooks import Hooks


@dataclass(frozen=True, slots=True)
class Terms:
    """What a crew works under."""

    token: str
    queues: tuple[str, ...]
    concurrency: int
    """Threads; 0: as many as there are tasks, up to MAX_THREADS."""
    tag: str = ""
    suspects: Suspects = Suspects.LEAVE
    max_tasks: int | None = None
    enforces_hard_timeouts: bool = False
    """Ends itself when a task runs longer than its hard timeout, or is to be cancelled with its process: the process is
    then to be ended too."""
    hooks: Hooks = field(default_factory=Hooks)
    beat: Callable[[], None] = lambda: None
    """Called while the crew's loop moves: every second, or oftener where the lease is short."""
    limited: Callable[[], None] = lambda: None
    """Called when `Crew.ends_by` changes, from any thread."""


def worker_name(tag: str) -> str:
    """What the signals call this process."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    return f"{tag}@{name}" if tag else name


def queues_of(config: ServerConfig, queues: Sequence[str] | None) -> tuple[str, ...]:
    """The queues to consume: as given, else as configured, else the default queue. TypeError for a text."""
    if isinstance(queues, str):
        raise TypeError(f"queues are a list of names, not {queues!r}")
    return tuple(queues or config.queues or (config.default_queue,))


def threads_of(config: ServerConfig, concurrency: int | None) -> int:
    """Threads for a concurrency as given, else as configured, else twice the CPUs (Go: redis.go:69); 0 stays 0."""
    for given in (concurrency, config.concurrency):
        if given is not None:
            return given
    return 2 * (os.cpu_count() or 1)
