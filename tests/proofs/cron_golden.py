"""What robfig/cron answered, in tests/cron/golden/cron.jsonl, compared with what this package answers."""

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django_machinery.cron import GAP_SKIP, OVERLAP_BOTH, CronError, DstPolicy, parse
from tests.proofs.ledger import Ledger

GOLDEN = Path(__file__).parent.parent / "cron" / "golden" / "cron.jsonl"
SUNDAY = "end of range (7) above maximum (6)"
"""The one refusal that is not shared."""
EPOCH = datetime.fromtimestamp(0, UTC)
NEAR = timedelta(days=1)
AS_GO = DstPolicy(GAP_SKIP, OVERLAP_BOTH)
"""The policy closest to what robfig/cron does."""
POLICIES = {"default policy": DstPolicy(), "skip, both": AS_GO}

HELP = "the answers of robfig/cron, compared"


@dataclass(frozen=True)
class Difference:
    """A tick that only one of both has, in the time that the answers of both reach."""

    spec: str
    zone: str
    tick: str
    """On the wall."""
    by: str
    """ours or robfig."""

    @property
    def at_change(self) -> bool:
        """Whether the offset changes within a day."""
        moment, zone = datetime.fromisoformat(self.tick).astimezone(UTC), ZoneInfo(self.zone)
        return (moment - NEAR).astimezone(zone).utcoffset() != (moment + NEAR).astimezone(zone).utcoffset()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> Ledger:
    return prove()


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def prove() -> Ledger:
    ledger = Ledger("cron against the answers of robfig/cron")
    refused, accepted = _refusals(ledger)
    for name, dst in POLICIES.items():
        found = [difference for case in accepted for difference in differences(case, dst)]
        away = [difference for difference in found if not difference.at_change]
        ledger.enter(**{f"differences at changes of offset, {name}": len(found) - len(away)})
        ledger.promise(f"{name}: away from changes of offset every time is the same", not away, away)
    periodic = [case for case in accepted if parse(case["spec"]).every]
    ledger.enter(cases_of_every=len(periodic))
    ledger.promise("@every has the same period, at multiples of it", all(map(_same_period, periodic)))
    ledger.promise("there was something to compare", len(accepted) > 1300 and len(refused) > 200)
    return ledger


def _refusals(ledger: Ledger) -> tuple[list[str], list[dict[str, Any]]]:
    """What is refused here, and the cases that robfig/cron accepts."""
    ours = {case["spec"] for case in cases() if _refused(case["spec"])}
    errors = {case["spec"]: case["error"] for case in cases() if "error" in case}
    sundays = {spec for spec, error in errors.items() if error.startswith(SUNDAY)}
    accepted = [case for case in cases() if "next" in case]
    ledger.enter(cases=len(cases()), refused_by_both=len(ours & errors.keys()), accepted_by_both=len(accepted))
    ledger.enter(**{"7 for Sunday, accepted here": len(sundays - ours)})
    ledger.promise("every spec that it refuses is refused, but for 7 as Sunday", errors.keys() - ours == sundays)
    ledger.promise("every spec that it accepts is accepted", ours <= errors.keys(), sorted(ours - errors.keys()))
    return sorted(ours), accepted


def _refused(spec: str) -> bool:
    try:
        parse(spec)
    except CronError:
        return True
    return False


def differences(case: dict[str, Any], dst: DstPolicy) -> list[Difference]:
    """The ticks that only one has. None for @every, which robfig/cron counts from the start of the process."""
    spec, zone = parse(case["spec"]), ZoneInfo(case["zone"])
    if spec.every:
        return []
    theirs = {datetime.fromisoformat(text) for text in case["next"] if text != "never"}
    last = max(theirs, default=None)
    start = datetime.fromisoformat(case["from"])
    if last is None or "never" in case["next"]:
        assert spec.next(last or start, zone, dst) is None, f"{case}: here it has one tick more"
    ours = set(spec.between(start, last, zone, dst)) if last else set()
    only_one = sorted((tick, "ours" if tick in ours else "robfig") for tick in ours ^ theirs)
    place = spec.zone or zone
    return [Difference(spec.text, place.key, tick.astimezone(place).isoformat(), by) for tick, by in only_one]


def _same_period(case: dict[str, Any]) -> bool:
    """Whether the ticks here are multiples of the period that robfig/cron counts from `from`."""
    spec, start = parse(case["spec"]), datetime.fromisoformat(case["from"])
    theirs = [datetime.fromisoformat(text) for text in case["next"]]
    assert spec.every is not None
    ours = list(islice(spec.between(start, start + 10 * spec.every, UTC), len(theirs)))
    lead = theirs[0] - ours[0]
    return (
        all((tick - EPOCH) % spec.every == timedelta(0) for tick in ours)
        and timedelta(0) <= lead < spec.every
        and ours == [tick - lead for tick in theirs]
    )
