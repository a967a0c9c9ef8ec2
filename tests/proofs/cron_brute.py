"""Ticks of specs in every zone of the tz database over ten years, compared with brute force."""

import argparse
import os
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from django_machinery.cron import DstPolicy, Spec, parse
from tests.cron.reference import POLICIES, SHAPES, Shape, Years, runs, ticks
from tests.proofs.ledger import Ledger
from tests.proofs.zones import in_processes, sample

YEARS = Years(2020, 2029)
BY_NEXT = SHAPES[0]
"""Asked for one tick at a time under the default policy; all else is asked for by its range."""

HELP = "ticks in every zone over ten years, against brute force"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--zones", type=int, default=None, help="a sample of so many, default all")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    return prove(options.zones, options.processes, options.seed)


def prove(count: int | None, processes: int, seed: int) -> Ledger:
    """Compare `count` zones, or all."""
    names = sample(count, seed)
    ledger = Ledger(f"cron against brute force: {YEARS.first} to {YEARS.last}, seed {seed}")
    began = time.monotonic()
    found = list(in_processes(compare, names, processes))
    compared, differences = sum(ticks for ticks, _ in found), [text for _, texts in found for text in texts]
    ledger.enter(zones=len(names), specs=len(SHAPES), policies=len(POLICIES), ticks_compared=compared)
    ledger.enter(differences=len(differences), seconds=time.monotonic() - began)
    ledger.promise("every tick is where the policy says, and there is no other", not differences, differences[:10])
    ledger.promise("there was something to compare", compared > 100_000 * len(names), compared)
    return ledger


def compare(name: str) -> tuple[int, list[str]]:
    """How many ticks a zone has under all policies, and where there are differences."""
    zone, count, differences = runs(name, YEARS), 0, []
    for shape in SHAPES:
        for dst in POLICIES:
            expected = ticks(shape, zone, YEARS, dst)
            got = _ticks(shape, name, dst)
            count += len(expected)
            if got != expected:
                odd = sorted(set(got) ^ set(expected))
                differences.append(f"{shape.spec} {name} {dst}: {', '.join(map(str, odd[:4]))}")
    return count, differences


def _ticks(shape: Shape, name: str, dst: DstPolicy) -> list[datetime]:
    spec, zone = parse(shape.spec), ZoneInfo(name)
    if shape is BY_NEXT and dst == DstPolicy():
        return list(takewhile(lambda tick: tick <= YEARS.end, _one_by_one(spec, zone, dst)))
    return list(spec.between(YEARS.begin, YEARS.end, zone, dst))


def _one_by_one(spec: Spec, zone: ZoneInfo, dst: DstPolicy) -> Iterator[datetime]:
    tick = spec.next(YEARS.begin, zone, dst)
    while tick is not None:
        yield tick
        tick = spec.next(tick, zone, dst)
