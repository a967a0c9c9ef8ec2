"""A server on the database of the test, schedules on it, and a scheduler whose clock the test sets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from django_machinery import Signature, servers
from django_machinery.models import Message, Schedule, Tick
from django_machinery.scheduler.scheduler import Scheduler
from django_machinery.server import Server
from tests.contracts.support import unique

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Shows what it is set to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> datetime:
        self.now += timedelta(**time)
        return self.now


class Looker:
    """A scheduler, and what it has sent."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self.clock = clock
        self.server = server
        self.scheduler = Scheduler(server, clock)

    def look(self, **time: float) -> None:
        """Let time pass, then look until there is nothing more to do now."""
        self.clock.forward(**time)
        while self.scheduler.look() == 0.0:
            pass

    def ticks(self, schedule: Schedule) -> list[datetime]:
        """At which ticks the schedule was sent."""
        rows = Tick.objects.using(self.server.config.database).filter(schedule_key=schedule.key)
        return list(rows.filter(status="sent").order_by("tick_at").values_list("tick_at", flat=True))

    def statuses(self, schedule: Schedule) -> list[str]:
        rows = Tick.objects.using(self.server.config.database).filter(schedule_key=schedule.key)
        return list(rows.order_by("tick_at").values_list("status", flat=True))

    @property
    def waiting(self) -> list[Signature]:
        """What was sent and waits for a worker, in the order of sending."""
        rows = Message.objects.using(self.server.config.database).order_by("id")
        return [self.server.decode(row.body.encode()) for row in rows]


@pytest.fixture
def server(database: str) -> Server:
    return servers[database]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def looker(server: Server, clock: Clock) -> Looker:
    return Looker(server, clock)


Make = Callable[..., Schedule]


@pytest.fixture
def make(server: Server) -> Make:
    """`make("@every 1m", missed="all")`: a schedule of one task."""

    def create(spec: str, *signatures: Signature, **columns: object) -> Schedule:
        row = Schedule(server=server.alias, name=unique("schedule"), spec=spec, **columns)
        row.invocations = signatures or (Signature.of("add", 1, 2),)
        row.save(using=server.config.database)
        return row

    return create
