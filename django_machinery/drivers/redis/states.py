"""Writing states: the same by the result backend, by a send and by a unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.keys import GroupKeys
from django_machinery.drivers.redis.program import ANEW, Program

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.client import Client
    from django_machinery.seams.backend import StateChange

EXPIRE_IN = 3600
"""Seconds, where RESULTS_EXPIRE_IN is not set (Go: config/config.go)."""
CHUNK = 1000
"""The most states, and the most messages, of one step: others wait while Redis takes it."""


def lifetime(config: ServerConfig) -> int:
    """Seconds that states and groups are kept."""
    return config.results_expire_in or EXPIRE_IN


def add_states(program: Program, changes: Iterable[StateChange]) -> None:
    """An item of its own for each change, so that the program tells what became of it."""
    for change in changes:
        program.item(decides=True)
        program.state(change)


def recount(client: Client, changes: Sequence[StateChange], results: Sequence[int]) -> None:
    """A member of a group that was final starts anew: its group is counted from the beginning."""
    groups = {c.signature.group_uuid for c, result in zip(changes, results, strict=True) if result == ANEW}
    cursors = [GroupKeys(group).cursor for group in groups if group]
    client.calls([(cursor, ("DEL", cursor)) for cursor in cursors])
