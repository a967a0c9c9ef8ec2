"""Messages whose task a worker does not know: aside for a second, and back to where others look, Go workers too.

They go back by whoever consumes the queue, or by the sweeps of any worker while those are busy. Where nobody of ours
consumes the queue any more all of them go back at once, when the last one ends or when a sweep finds it dead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.script import Command, Script

if TYPE_CHECKING:
    from django_machinery.drivers.redis.keys import QueueKeys

PARKED = 1000
"""Milliseconds until a message is tried again, by whoever comes first."""
RETURNED, CROWD = 10, 1000
"""So many come back with each look, and more until the queue is this long: a crowd of them neither waits for ever
behind others nor holds up others."""

_name = re.compile(rb'\{"UUID":"[^"\\]*","Name":"([^"\\]*)"').match
"""The name of a task in a message as Go and we write it; see `claim.lua`."""

_PARK, _TEND, _UNPARK = Script("park"), Script("parked", "tend"), Script("parked", "unpark")


def names(bodies: Iterable[bytes]) -> set[bytes]:
    """The names of the tasks of messages, of those that are written as usual."""
    return {found[1] for found in map(_name, bodies) if found}


def park(keys: QueueKeys, token: str, fields: Sequence[bytes]) -> Command:
    """Put aside what the process holds in these fields."""
    return _PARK([keys.held(token), keys.parked], PARKED, *fields)


def tend(keys: QueueKeys, token: str) -> Command:
    """What a consumer does from time to time: messages whose time has come go back; how many it holds."""
    places = (keys.queue, keys.suspects, keys.parked, keys.holders, keys.held(token))
    return _TEND(places, token, RETURNED, CROWD)


def unpark_due(keys: QueueKeys) -> Command:
    """The same, by somebody who does not consume the queue."""
    return _UNPARK([keys.queue, keys.suspects, keys.parked], RETURNED, CROWD)


def unpark_all(keys: QueueKeys) -> Command:
    """Everything goes back, at once."""
    return _UNPARK([keys.queue, keys.suspects, keys.parked])
