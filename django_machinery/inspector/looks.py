"""What the inspector answers with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class QueueLook:
    """A queue as an operator sees it."""

    name: str
    ready: int
    delayed: int
    oldest_age: float | None
    """Seconds for which the message that has been ready the longest waits; None: there is none, or nobody can tell."""
    paused: bool


class Point(NamedTuple):
    """How many tasks ended in the time from `at` on, until the next point."""

    at: datetime
    succeeded: int
    failed: int
    retried: int


class Percentiles(NamedTuple):
    """Seconds that 50, 95 and 99 of a hundred do not exceed, to within 9 %."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Latency:
    """How long tasks waited and ran; None where there are no figures."""

    wait: Percentiles | None
    """From being ready until the start; only of brokers that know when a message became ready."""
    run: Percentiles | None


class FailureRow(NamedTuple):
    """Tasks of one name of which a run ended by one exception, those that were retried included."""

    name: str
    exception: str
    """Its dotted path; empty where a process ended."""
    hour: int
    day: int
    week: int
    """How many in the last hour, day and week."""
    newest_uuid: str


@dataclass(frozen=True, slots=True)
class SlowTask:
    """How long the runs of one task take, in seconds."""

    name: str
    count: int
    p95: float
    longest: float
