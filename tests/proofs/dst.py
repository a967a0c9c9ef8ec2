"""The DST policies at every change of offset of every zone, 2020 to 2030.

What is expected comes from PEP 495: a wall time, read with both folds and converted to UTC and back, exists twice, once
or not at all.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

from django_machinery.cron import GAP_NEXT, OVERLAP_BOTH, DstPolicy, Spec, parse
from tests.cron.reference import MINUTE, POLICIES, Years, runs
from tests.proofs.ledger import Ledger
from tests.proofs.zones import in_processes, sample

YEARS = Years(2020, 2030)
AROUND = timedelta(days=1)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)

HELP = "the policies at every change of offset of every zone"


@dataclass(frozen=True)
class Change:
    zone: ZoneInfo
    at: datetime
    before: datetime
    """What the wall would show then, without the change."""
    after: datetime
    """What it shows."""

    @property
    def kind(self) -> str:
        return "gaps" if self.after > self.before else "overlaps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--zones", type=int, default=None, help="a sample of so many, default all")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    return prove(options.zones, options.processes, options.seed)


def prove(count: int | None, processes: int, seed: int) -> Ledger:
    """Try the changes of `count` zones, or of all."""
    names = sample(count, seed)
    ledger = Ledger(f"DST policies, {YEARS.first} to {YEARS.last}, seed {seed}")
    began, figures, faults = time.monotonic(), Counter[str](), list[str]()
    for found, wrong in in_processes(tried, names, processes):
        figures += found
        faults += wrong
    ledger.enter(zones=len(names), **figures, differences=len(faults), seconds=time.monotonic() - began)
    ledger.promise("each is due when the policy says, and at no other time", not faults, faults[:10])
    ledger.promise("there were gaps and overlaps", figures["gaps"] > 0 and figures["overlaps"] > 0, figures)
    return ledger


def tried(name: str) -> tuple[Counter[str], list[str]]:
    """How many changes a zone has, how many schedules were tried at them, and what is wrong."""
    figures, faults = Counter[str](), []
    for change in _changes(name):
        figures[change.kind] += 1
        for fault in chain(_daily(change), _hourly(change)):
            figures["schedules tried"] += 1
            faults += [fault] if fault else []
    return figures, faults


def _changes(name: str) -> Iterator[Change]:
    zone = ZoneInfo(name)
    pieces = runs(name, YEARS)
    for old, new in pairwise(pieces):
        at = YEARS.origin + new.first * MINUTE
        if YEARS.begin <= at < YEARS.end:
            plain = at.replace(tzinfo=None)
            yield Change(zone, at, plain + old.offset * MINUTE, plain + new.offset * MINUTE)


def _daily(change: Change) -> Iterator[str]:
    """For each daily schedule near the change, and each policy, what is wrong with it."""
    for wall in sorted(_walls(change)):
        shown = [_instants(_on(wall, change.after.date() + timedelta(days)), change.zone) for days in range(-2, 3)]
        for dst in POLICIES:
            expected = {tick for instants in shown for tick in _expected(instants, change, dst)}
            yield _fault(change, _parsed(f"{wall.minute} {wall.hour} * * *"), dst, expected)


def _hourly(change: Change) -> Iterator[str]:
    """For each policy, which must not apply, what is wrong with schedules of every hour."""
    first = change.at - AROUND
    instants = [first + number * MINUTE for number in range(2 * AROUND // MINUTE + 1)]
    shown = [instant.astimezone(change.zone).minute for instant in instants]
    for minute in (0, 15, 30, 45):
        expected = {instant for instant, shown_minute in zip(instants, shown, strict=True) if shown_minute == minute}
        for dst in POLICIES:
            yield _fault(change, _parsed(f"{minute} * * * *"), dst, expected)


def _walls(change: Change) -> set[datetime]:
    """Wall times in, at the ends of and around what is skipped or repeated."""
    low, high = sorted((change.before, change.after))
    walls = {edge + minutes * MINUTE for edge in (low, high) for minutes in (-1, 0, 1)}
    wall = low - HOUR
    while wall <= high + HOUR:
        walls.add(wall)
        wall += QUARTER
    return walls


def _on(wall: datetime, day: date) -> datetime:
    return datetime.combine(day, wall.time())


def _instants(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """When the wall shows that time, in order."""
    read = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(instant for instant in read if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall)


def _expected(shown: list[datetime], change: Change, dst: DstPolicy) -> list[datetime]:
    """What the policy makes of a wall time that is shown then."""
    if not shown:
        return [change.at] if dst.gap == GAP_NEXT else []
    return shown if dst.overlap == OVERLAP_BOTH else shown[:1]


@cache
def _parsed(text: str) -> Spec:
    return parse(text)


def _fault(change: Change, spec: Spec, dst: DstPolicy, expected: set[datetime]) -> str:
    start, end = change.at - AROUND, change.at + AROUND
    ticks = sorted(tick for tick in expected if start < tick <= end)
    got = list(spec.between(start, end, change.zone, dst))
    if got == ticks and spec.next(start, change.zone, dst) == ticks[0]:
        return ""
    return f"{spec.text} {change.zone} {dst}: {got}, not {ticks}"
