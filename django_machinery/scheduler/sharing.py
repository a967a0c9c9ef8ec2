"""The lock of periodic tasks: which ticks are left to Go programs of the same name, and which they leave to us.

Among ourselves the row of a tick decides, so that the lock has to tell apart only Go's programs and ours. Go takes the
key of a schedule at each tick until the next (server.go:335, locks/redis/redis.go:74); whoever has it sends. We take it
for all our workers together, until a microsecond before the next tick: by that time a worker sees that another one of
ours took it, which may have died before it sent.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.models import Schedule
    from django_machinery.server import Server

PREFIX = "machinery_lock_"
"""utils/utils.go:13"""


class Answer(Enum):
    """What a lock says."""

    OURS = "ours"
    ELSEWHERE = "elsewhere"
    """A Go program has this tick."""
    LATER = "later"
    """The tick before is still locked, as clocks differ a little: ask again."""


def lock_name(server: Server, schedule: Schedule) -> str:
    """Go's key: the name of the program, of the schedule, and the spec as it was written (utils/utils.go:12)."""
    program = server.config.program_name or os.path.basename(sys.argv[0])
    return f"{PREFIX}{program}{schedule.name}{schedule.spec}"


def ask(server: Server, schedule: Schedule, tick: datetime) -> Answer:
    """May our programs send this tick, the last one that is due? Raises `LockUnavailable`."""
    following = schedule.next_after(tick)
    if not server.lock.supports_sharing or following is None:
        return Answer.OURS
    key, until = lock_name(server, schedule), following - datetime.resolution
    if server.lock.acquire(key, until):
        return Answer.OURS
    held_until = server.lock.held_until(key)
    if held_until is None or held_until <= tick:
        return Answer.LATER
    return Answer.OURS if held_until == until else Answer.ELSEWHERE
