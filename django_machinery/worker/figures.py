"""What a worker process says of itself, once a second, and what the system says of it."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of one worker process."""

    token: str
    busy: int = 0
    """Tasks that run."""
    done: int = 0
    """Deliveries that have ended."""
    failed: int = 0
    """Tasks that have failed for good."""
    rss: int = 0
    """Resident memory in bytes."""


def resident_memory() -> int:
    """Of this process, in bytes; where the system does not tell, the most that it ever was."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor_time(pid: int) -> float | None:
    """Seconds for which a process has used a processor so far; None where the system does not tell."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        user, system = file.read().rpartition(b")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return None
