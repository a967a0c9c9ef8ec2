"""Zones of the tz database to try a proof on, one after the other or in several processes."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import TypeVar
from zoneinfo import ZoneInfo

from tests.cron.reference import all_zones

ODD = (
    "Antarctica/Casey",  # moved at a minute past midnight
    "Australia/Lord_Howe",  # half an hour
    "Africa/Casablanca",  # by the moon: back for Ramadan
    "America/Havana",  # at midnight
    "Antarctica/Troll",  # two hours
    "Europe/Berlin",
)
"""In every sample."""
T = TypeVar("T")


def sample(count: int | None, seed: int) -> list[str]:
    """`count` zones or all, those next to each other that are alike: their reference is computed once."""
    names = all_zones()
    if count is not None:
        odd = [name for name in ODD if name in names][:count]
        others = [name for name in names if name not in odd]
        names = odd + random.Random(seed).sample(others, count - len(odd))
    return sorted(names, key=_likeness)


def _likeness(name: str) -> list[timedelta | None]:
    zone = ZoneInfo(name)
    return [
        datetime(2020 + month // 12, month % 12 + 1, 1, tzinfo=UTC).astimezone(zone).utcoffset() for month in range(120)
    ]


def in_processes(function: Callable[[str], T], names: Sequence[str], processes: int) -> Iterator[T]:
    """What `function` returns for each name, in order."""
    if processes == 1:
        yield from map(function, names)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, names, chunksize=10)
