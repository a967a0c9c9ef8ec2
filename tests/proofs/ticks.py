"""Ticks: many workers schedule, some are killed, and every tick of every schedule is sent once.

The ledger looks at the rows: a tick's, and the state of each task that was sent. Work begins and ends at times that are
known, so which ticks there have to be is arithmetic. However late an overloaded machine makes a tick, it is sent: the
schedules ask for all that they miss.
"""

import argparse
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from django_machinery.models import Schedule, TaskState, Tick
from django_machinery.scheduler.policy import LATE
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger, percentile
from tests.proofs.site import Site, new_site
from tests.waiting import wait_until

PERIODS = (1, 2, 3, 4, 5)
"""Seconds: of the schedules, in turn."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HELP = "schedule in many workers, kill some, and count the ticks that were missed or sent twice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=60, help="default %(default)s")
    parser.add_argument("--schedules", type=int, default=200, help="default %(default)s")
    parser.add_argument("--workers", type=int, default=8, help="default %(default)s")
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds, default %(default)s")
    parser.add_argument("--late", type=float, default=0.1, help="seconds that half the ticks may be (default 0.1)")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        sizes = (options.seconds, options.schedules, options.workers, options.kill_every, options.late)
        return prove(place, *sizes, seed=options.seed)


def prove(
    place: Site, seconds: int, schedules: int, workers: int, kill_every: float, late: float, *, seed: int
) -> Ledger:
    """Let `workers` run for `seconds`, of which one is killed, and replaced, every `kill_every` seconds."""
    database, random = place.server.config.database, Random(seed)
    ledger = Ledger(f"ticks on {database}: {schedules} schedules, {workers} workers, seed {seed}")
    made = _make(database, place.server.alias, schedules)
    staff = [_start(place) for _ in range(workers)]
    for worker in staff:
        worker.wait_for_line("READY", timeout=120)
    first = Schedule.objects.db_manager(database).now() + timedelta(seconds=2)
    kills = _kill(place, staff, random, seconds + 2, kill_every)
    last = first + timedelta(seconds=seconds)
    _wait_for_the_late(database, last, staff)
    _count(ledger, database, made, first, last, late)
    ledger.enter(kills=kills)
    return ledger


def _make(database: str, server: str, count: int) -> list[Schedule]:
    made = []
    for number in range(count):
        spec = f"@every {PERIODS[number % len(PERIODS)]}s"
        row = Schedule(server=server, name=f"schedule-{number}", spec=spec, missed=Schedule.Missed.ALL)
        row.invocations = (tasks.member.signature(number),)
        row.save(using=database)
        made.append(row)
    return made


def _start(place: Site) -> Process:
    return place.start_worker(processes=1, concurrency=1)


def _kill(place: Site, staff: list[Process], random: Random, seconds: float, every: float) -> int:
    """Kill one worker with its child, and start another in its place, again and again; returns how many."""
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() + every < end:
        time.sleep(every * random.uniform(0.9, 1.1))
        victim = staff.pop(random.randrange(len(staff)))
        os.killpg(victim.pid, signal.SIGKILL)
        victim.kill()
        staff.append(_start(place))
        kills += 1
    time.sleep(max(0.0, end - time.monotonic()))
    return kills


def _wait_for_the_late(database: str, last: datetime, staff: list[Process]) -> None:
    """Until every schedule has been looked at after the last tick that counts."""
    behind = Schedule.objects.using(database).filter(next_at__lte=last)
    wait_until(lambda: not behind.exists(), timeout=LATE.total_seconds() * 3, message=lambda: staff[-1].output)


def _count(ledger: Ledger, database: str, made: list[Schedule], first: datetime, last: datetime, late: float) -> None:
    rows = Tick.objects.using(database).filter(tick_at__gt=first, tick_at__lte=last)
    sent = Counter(rows.filter(status="sent").values_list("schedule_key", "tick_at"))
    wanted = {(row.key, tick) for row in made for tick in _multiples(row, first, last)}
    keys = {row.pk: row.key for row in made}
    uuids = dict(rows.values_list("uuid", "schedule_key"))
    states = list(
        TaskState.objects.using(database).filter(schedule_id__isnull=False).values_list("uuid", "schedule_id")
    )
    tasks_of = Counter(keys[schedule] for uuid, schedule in states if schedule is not None and uuid in uuids)
    orphans = {uuid for uuid, _ in states} - set(Tick.objects.using(database).values_list("uuid", flat=True))
    times = rows.filter(sent_at__isnull=False).values_list("tick_at", "sent_at")
    delays = [(sent_at - tick_at).total_seconds() for tick_at, sent_at in times if sent_at is not None]
    missing, double = len(wanted - sent.keys()), sum(sent.values()) - len(sent)
    ledger.enter(ticks=len(wanted), sent=sum(sent.values()), missing=missing, double=double)
    ledger.enter(p50_late=percentile(delays, 0.5), p99_late=percentile(delays, 0.99), max_late=max(delays))
    ledger.promise(f"half the ticks are sent at most {late} s late", percentile(delays, 0.5) <= late)
    ledger.promise("no tick is missing", missing == 0, missing)
    ledger.promise("no tick was sent twice", double == 0 and sent.keys() <= wanted, sent.keys() - wanted)
    ledger.promise("each tick that was sent has one task", tasks_of == Counter(key for key, _ in sent), tasks_of)
    ledger.promise("each task that was sent has its tick", not orphans, orphans)


def _multiples(row: Schedule, first: datetime, last: datetime) -> list[datetime]:
    period = timedelta(seconds=int(row.spec.removeprefix("@every ").removesuffix("s")))
    tick = EPOCH + ((first - EPOCH) // period + 1) * period
    found = []
    while tick <= last:
        found.append(tick)
        tick += period
    return found
