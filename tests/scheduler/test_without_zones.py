"""Schedules of a project with USE_TZ = False, whose own times have no zone: instants all the same, on every engine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from pytest_django import Settings

from django_machinery.models import Schedule, Tick
from django_machinery.scheduler.scheduler import Scheduler
from django_machinery.server import Server
from tests.databases import on_databases
from tests.scheduler.conftest import NOON, Looker, Make
from tests.waiting import wait_until

pytestmark = on_databases("default", "mariadb", "postgres")

BACK = datetime(2026, 11, 1, 6, tzinfo=UTC)
"""New York's clock goes from 02:00 back to 01:00."""


@pytest.fixture(autouse=True)
def _no_zones(settings: Settings, database: str) -> Iterator[None]:
    connections[database].close()  # PostgreSQL's driver is told at the start of a connection
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    yield
    connections[database].close()


def stored(server: Server, schedule: Schedule) -> Schedule:
    return Schedule.objects.using(server.config.database).get(pk=schedule.pk)


def test_a_schedule_is_sent_by_the_database_s_clock(server: Server, make: Make):
    schedule = make("@every 1s")
    scheduler = Scheduler(server)

    def sent() -> list[Tick]:
        scheduler.look()
        return list(Tick.objects.using(server.config.database).filter(schedule_key=schedule.key, status="sent"))

    wait_until(lambda: len(sent()) > 1, timeout=10)
    for tick in sent():
        assert tick.sent_at is not None
        assert timedelta(0) <= tick.sent_at - tick.tick_at < timedelta(seconds=5)
        assert abs(tick.tick_at - datetime.now(UTC)) < timedelta(seconds=15)


def test_start_and_end_are_instants(server: Server, looker: Looker, make: Make):
    schedule = make("@every 1m", starts_at=NOON + timedelta(minutes=2), ends_at=NOON + timedelta(minutes=3))
    assert stored(server, schedule).starts_at == NOON + timedelta(minutes=2)
    for _ in range(6):
        looker.look(minutes=1)
    assert looker.ticks(schedule) == [NOON + timedelta(minutes=2), NOON + timedelta(minutes=3)]


def test_a_time_without_a_zone_is_the_project_s(server: Server, make: Make):
    schedule = make("@every 1m", starts_at=datetime(2030, 7, 1, 8), ends_at=datetime(2030, 12, 1, 8))
    row = stored(server, schedule)
    row.full_clean()
    assert row.starts_at == datetime(2030, 7, 1, 12, tzinfo=UTC)
    assert row.ends_at == datetime(2030, 12, 1, 13, tzinfo=UTC)
    assert row.starts_at is not None
    assert (row.starts_at.hour, row.starts_at.utcoffset()) == (8, timedelta(hours=-4))
    assert Schedule.objects.using(server.config.database).filter(starts_at=datetime(2030, 7, 1, 8)).exists()


def test_no_tick_of_the_hour_that_comes_twice_is_lost(looker: Looker, make: Make):
    looker.clock.now = BACK - timedelta(hours=1, minutes=5)
    schedule = make("@every 30m")
    looker.look()
    for _ in range(8):
        looker.look(minutes=30)
    ticks = [BACK + timedelta(minutes=30 * number) for number in range(-2, 6)]
    assert looker.ticks(schedule) == ticks
