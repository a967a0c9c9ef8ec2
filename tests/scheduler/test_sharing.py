"""A lock that other programs share: which ticks are ours, and which are left to them."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from django_machinery import signals
from django_machinery.exceptions import LockUnavailable
from django_machinery.scheduler.scheduler import ASIDE, PATIENCE, SOON
from django_machinery.scheduler.sharing import lock_name
from django_machinery.seams.lock import Lock
from django_machinery.server import Server
from tests.databases import on_databases
from tests.scheduler.conftest import NOON, Clock, Looker, Make

pytestmark = on_databases("default")


class SharedLock(Lock):
    """Keys in memory, by the clock of the test."""

    supports_sharing = True

    def __init__(self, server: Server, clock: Clock) -> None:
        super().__init__(server.lock.url, server.config)
        self.clock = clock
        self.held: dict[str, datetime] = {}
        self.away = False

    def acquire(self, key: str, until: datetime) -> bool:
        if self.away:
            raise LockUnavailable("gone")
        if self.held.get(key, self.clock.now) > self.clock.now:
            return False
        self.held[key] = until
        return True

    def held_until(self, key: str) -> datetime | None:
        return self.held.get(key)


@pytest.fixture
def lock(server: Server, clock: Clock) -> Iterator[SharedLock]:
    own = server.lock
    server.lock = SharedLock(server, clock)
    yield server.lock
    server.lock = own


def test_a_tick_is_locked_until_just_before_the_next(looker: Looker, make: Make, lock: SharedLock, server: Server):
    schedule = make("@every 1m")
    looker.look()
    looker.look(minutes=1)
    assert looker.statuses(schedule) == ["sent"]
    assert lock.held == {lock_name(server, schedule): NOON + timedelta(minutes=2, microseconds=-1)}


def test_a_tick_that_another_program_has_is_left_to_it(looker: Looker, make: Make, lock: SharedLock, server: Server):
    schedule = make("@every 1m")
    looker.look()
    lock.held[lock_name(server, schedule)] = NOON + timedelta(minutes=2)
    looker.look(minutes=1)
    looker.look(minutes=1)
    assert looker.statuses(schedule) == ["elsewhere", "sent"]


def test_a_tick_that_a_worker_of_ours_locked_before_it_died_is_sent_by_another(
    looker: Looker, make: Make, lock: SharedLock, server: Server
):
    schedule = make("@every 1m")
    looker.look()
    lock.held[lock_name(server, schedule)] = NOON + timedelta(minutes=2, microseconds=-1)
    looker.look(minutes=1)
    assert looker.statuses(schedule) == ["sent"]


def test_the_lock_of_the_tick_before_by_a_slower_clock_is_waited_for(
    looker: Looker, make: Make, lock: SharedLock, server: Server
):
    schedule = make("@every 1m")
    looker.look()
    late = SharedLock(server, Clock(NOON + timedelta(seconds=59.9)))
    late.held[lock_name(server, schedule)] = NOON + timedelta(minutes=1)
    server.lock = late
    looker.look(minutes=1)
    assert looker.statuses(schedule) == []
    assert {looker.scheduler.look() for _ in range(PATIENCE - 1)} == {SOON}
    assert looker.scheduler.look() >= ASIDE / 2
    late.clock.forward(seconds=0.1)
    looker.look(seconds=0.1)
    assert looker.statuses(schedule) == ["sent"]


def test_a_tick_whose_successor_is_due_is_not_sent_unless_all_are_wanted(looker: Looker, make: Make, lock: SharedLock):
    """The lock says nothing of it any more: the other program may have sent it."""
    one, every = make("@every 1m"), make("@every 1m", missed="all")
    looker.look()
    looker.look(minutes=3)
    assert looker.ticks(one) == [NOON + timedelta(minutes=3)]
    assert looker.ticks(every) == [NOON + timedelta(minutes=minute) for minute in (1, 2, 3)]


def test_a_tick_that_is_not_sent_as_it_was_found_late_is_recorded_and_told(
    looker: Looker, make: Make, lock: SharedLock
):
    told: list[tuple[datetime, str]] = []

    def note(tick_at: datetime, reason: str, **_: object) -> None:
        told.append((tick_at, reason))

    signals.tick_skipped.connect(note)
    schedule = make("@every 1s")
    looker.look()
    looker.look(seconds=3)
    signals.tick_skipped.disconnect(note)
    assert looker.statuses(schedule) == ["undecided", "undecided", "sent"]
    assert told == [(NOON + timedelta(seconds=second), "undecided") for second in (1, 2)]


def test_ticks_wait_for_a_lock_that_is_away(looker: Looker, make: Make, lock: SharedLock):
    schedule = make("@every 1m")
    looker.look()
    lock.away = True
    with pytest.raises(LockUnavailable):
        looker.look(minutes=1)
    lock.away = False
    looker.look(seconds=30)
    assert looker.ticks(schedule) == [NOON + timedelta(minutes=1)]


def test_schedulers_of_ours_share_the_lock(server: Server, clock: Clock, make: Make, lock: SharedLock):
    schedule = make("@every 1m")
    lookers = [Looker(server, clock) for _ in range(3)]
    for looker in lookers:
        looker.look()
    clock.forward(minutes=1)
    for looker in lookers:
        looker.look()
    assert lookers[0].statuses(schedule) == ["sent"]
    assert len(lookers[0].waiting) == 1


def test_a_lock_in_the_database_is_not_asked(looker: Looker, make: Make, server: Server):
    schedule = make("@every 1m")
    assert not server.lock.supports_sharing
    looker.look()
    looker.look(minutes=1)
    assert server.lock.held_until(lock_name(server, schedule)) is None
    assert looker.statuses(schedule) == ["sent"]


def test_the_key_has_the_name_of_what_was_started_unless_another_is_set(make: Make, server: Server):
    schedule = make("0 6 * * ?")
    assert lock_name(server, schedule).startswith("machinery_lock_")
    assert lock_name(server, schedule).endswith(f"{schedule.name}0 6 * * ?")
