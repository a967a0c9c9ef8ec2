"""Where a message goes: to its list, to the delayed ones, or, by its priority, before the list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.keys import queue_keys

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Lane:
    """One way of sending, as `commit.lua` knows it."""

    kind: str
    """L: a list; D: a sorted set, by `score`; U: one by priority."""
    places: tuple[tuple[str, str], ...]
    """The keys that it takes, each with the letter of its type."""
    score: str = ""

    @property
    def key(self) -> str:
        return self.places[0][0]


class Lanes:
    """Finds the lane of a message."""

    def __init__(self, delayed: str, *, has_priorities: bool) -> None:
        self._delayed = delayed
        self._has_priorities = has_priorities

    def of(self, signature: Signature) -> Lane:
        """Where the message goes now: it is delayed if its ETA is to come, strictly, as in Go (redis.go:214)."""
        if signature.eta_text is not None and (eta := signature.eta) is not None and eta > datetime.now(UTC):
            return Lane("D", ((self._delayed, "z"),), str(nanoseconds(eta)))
        return self.ready(signature)

    def ready(self, signature: Signature) -> Lane:
        """Where the message goes when its time has come."""
        if signature.priority and self._has_priorities:
            keys = queue_keys(signature.queue)
            return Lane("U", ((keys.urgent, "z"), (keys.counter, "s"), (keys.bell, "l")), str(-signature.priority))
        return _list(signature.queue)


@lru_cache(maxsize=1024)
def _list(queue: str) -> Lane:
    return Lane("L", ((queue, "l"),))


def nanoseconds(moment: datetime) -> int:
    """Since 1970, as Go counts (time.Time.UnixNano)."""
    return (moment - _EPOCH) // _MICROSECOND * 1000
