"""Missed runs: schedulers are away for a minute to a month, and what each policy then sends is what it promises.

The clock is the proof's. For each spec, policy and absence, a schedule is planned, nobody looks, and then somebody
does. What should have been sent is found tick by tick from the spec alone.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta

from django_machinery import Signature
from django_machinery.models import Schedule, Tick
from django_machinery.scheduler.policy import LATE
from django_machinery.scheduler.scheduler import Scheduler
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site

SPECS = (
    "@every 1s",
    "@every 7m",
    "* * * * *",
    "30 3 * * ?",
    "0 9-17 * * mon-fri",
    "CRON_TZ=Asia/Kolkata 5 */6 * * *",
    "0 0 1 * ?",
)
ABSENCES = (60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
"""Seconds."""
POLICIES = (("skip", None), ("one", None), ("one", 3600), ("all", None), ("all", 3600))
START = datetime(2026, 3, 14, 22, 15, 30, tzinfo=UTC)
"""Its month has a change of offset in the zone of the schedules."""
ZONE = "Europe/Berlin"

HELP = "be away for 1 minute to 30 days, and send what was missed as each policy says"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--most", type=int, default=3000, help="ticks of a case, each a message (default %(default)s)")
    parser.add_argument("--specs", type=int, default=len(SPECS), help="how many of the specs (default %(default)s)")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place, options.specs, options.most)


def prove(place: Site, specs: int, most: int) -> Ledger:
    """Cases in which a policy sends more than `most` are left out."""
    ledger = Ledger(f"missed runs on {place.server.config.database}")
    policies = [(spec, missed, age) for spec in SPECS[:specs] for missed, age in POLICIES]
    cases = [(spec, missed, age, away) for spec, missed, age in policies for away in ABSENCES]
    cases = [case for case in cases if _is_affordable(*case, most)]
    began, wrong, slowest = time.monotonic(), [], 0.0
    sent = 0
    for case in cases:
        found, wanted, seconds = _try(place, *case)
        sent += len(found)
        slowest = max(slowest, seconds / max(1, len(found)))
        if found != wanted:
            wrong.append((case, len(found), len(wanted)))
    ledger.enter(cases=len(cases), absences_up_to_days=max(ABSENCES) // 86_400, ticks_sent=sent)
    ledger.enter(most_cpu_seconds_a_tick=slowest, seconds=time.monotonic() - began)
    ledger.promise("each policy sends what it promises, no more and no less", not wrong, wrong[:5])
    ledger.promise("an absence costs no more than what is sent after it", slowest < 0.5, slowest)
    return ledger


def _is_affordable(spec: str, missed: str, catch_up: int | None, away: int, most: int) -> bool:
    schedule = Schedule(spec=spec, timezone=ZONE)
    span = min(away, catch_up or away)
    end = START + timedelta(seconds=away)
    return missed != "all" or sum(1 for _ in schedule.ticks(end - timedelta(seconds=span), end)) <= most


def _try(
    place: Site, spec: str, missed: str, catch_up: int | None, away: int
) -> tuple[list[datetime], list[datetime], float]:
    """What was sent, what should have been, and the seconds of CPU that it took."""
    database, now = place.server.config.database, START
    Schedule.objects.using(database).all().delete()
    Tick.objects.using(database).all().delete()
    row = Schedule(server=place.server.alias, name="case", spec=spec, timezone=ZONE, missed=missed, catch_up=catch_up)
    row.invocations = (Signature.of("tests.proofs.tasks.member", 1),)
    row.save(using=database)
    Scheduler(place.server, lambda: now).look()
    now = START + timedelta(seconds=away)
    scheduler, began = Scheduler(place.server, lambda: now), time.process_time()
    while scheduler.look() == 0.0:
        pass
    seconds = time.process_time() - began
    ticks = Tick.objects.using(database).filter(status="sent").order_by("tick_at")
    return list(ticks.values_list("tick_at", flat=True)), _wanted(row, now), seconds


def _wanted(row: Schedule, now: datetime) -> list[datetime]:
    """By the words of the documentation, from all ticks one by one."""
    late = now - LATE
    ticks = list(row.ticks(START, now))
    fresh = [tick for tick in ticks if tick > late]
    missed = [tick for tick in ticks if tick <= late]
    if row.catch_up is not None:
        missed = [tick for tick in missed if tick >= now - timedelta(seconds=row.catch_up)]
    if row.missed == "all":
        return missed + fresh
    return fresh if fresh or row.missed == "skip" else missed[-1:]
