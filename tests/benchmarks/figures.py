"""What is measured, and what becomes of several rounds of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

Figures = Mapping[str, float | None]
"""A value for each of METRICS by its key; None where it could not be measured."""


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    more_is_better: bool

    def best(self, values: Iterable[float]) -> float | None:
        """The best of them, None of none."""
        return (max if self.more_is_better else min)(values, default=None)


METRICS = (
    Metric("drain", "drain, tasks/s", True),
    Metric("singly", "send one by one, tasks/s", True),
    Metric("bulk", "send in bulk, tasks/s", True),
    Metric("p50", "idle round trip p50, ms", False),
    Metric("p99", "idle round trip p99, ms", False),
    Metric("worker", "CPU of the workers, s per 1,000 tasks", False),
    Metric("server", "CPU of the database server, same", False),
    Metric("cpu", "CPU in all, same", False),
    Metric("memory", "memory of the workers after the drain, MB", False),
)


def figures(
    drain: tuple[int, float, list[float | None]],
    singly: float,
    bulk: float,
    round_trips: list[float],
    memory: float | None,
) -> dict[str, float | None]:
    """One round's figures, from what the steps returned."""
    timed, seconds, (worker, server) = drain
    percentiles = quantiles(round_trips, n=100, method="inclusive")
    return {
        "drain": timed / seconds if timed else None,
        "singly": singly,
        "bulk": bulk,
        "p50": percentiles[49] * 1000,
        "p99": percentiles[98] * 1000,
        "worker": _for_1000(worker, timed),
        "server": _for_1000(server, timed),
        "cpu": None if worker is None or server is None else _for_1000(worker + server, timed),
        "memory": memory,
    }


def medians(rounds: Iterable[Figures]) -> dict[str, float | None]:
    """The median of each metric over the rounds."""
    collected = list(rounds)
    return {metric.key: _median([each[metric.key] for each in collected]) for metric in METRICS}


def ratio(value: float | None, other: float | None) -> float | None:
    """How many times the other the value is."""
    return value / other if value is not None and other else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _for_1000(seconds: float | None, tasks: int) -> float | None:
    return seconds / tasks * 1000 if seconds is not None and tasks else None
