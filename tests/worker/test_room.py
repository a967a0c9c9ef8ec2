"""How much a process claims."""

import time
from typing import Any

import pytest

from django_machinery.worker.pool import Slot
from django_machinery.worker.room import MOST, Room


class Threads:
    """Stands for a pool."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting = 0
        self.slots = [Slot() for _ in range(limit)]

    @property
    def busy(self) -> int:
        return sum(slot.delivery is not None for slot in self.slots)

    def have_run(self, count: int, seconds_each: float) -> None:
        self.slots[0].finished += count
        self.slots[0].seconds += count * seconds_each

    def hold(self, *seconds: float) -> None:
        """Each of these threads has worked on its delivery for so long."""
        for slot, age in zip(self.slots, seconds, strict=False):
            delivery: Any = object()
            slot.delivery, slot.began = delivery, time.monotonic() - age


@pytest.fixture
def threads() -> Threads:
    return Threads(4)


@pytest.fixture
def room(threads: Threads) -> Room:
    pool: Any = threads
    return Room(pool)


def test_at_first_one_a_thread_is_claimed(room: Room):
    assert room.left() == 4


def test_idle_threads_alone_count_while_tasks_take_long(threads: Threads, room: Room):
    threads.have_run(10, 5.0)
    threads.hold(1.0, 2.0)
    assert room.left() == 2
    threads.hold(1.0, 2.0, 3.0, 3.0)
    assert room.left() == 0


def test_what_starts_within_a_moment_is_claimed_ahead(threads: Threads, room: Room):
    threads.have_run(100, 0.01)  # 4 threads at 10 ms: 40 in the next 100 ms
    assert room.left() == 44
    threads.hold(*[0.001] * 4)
    assert room.left() == 40
    threads.waiting = 21
    assert room.left() == 0
    threads.waiting = 20
    assert room.left() == 20


def test_one_claim_has_a_bound(threads: Threads, room: Room):
    threads.have_run(100000, 0.000001)
    assert room.left() == MOST


def test_nothing_is_claimed_ahead_when_all_threads_are_held_up(threads: Threads, room: Room):
    threads.have_run(1000, 0.0001)
    threads.hold(*[2.0] * 4)
    assert room.left() == 0


def test_an_idle_thread_gets_work_whatever_waits(threads: Threads, room: Room):
    threads.have_run(10, 0.05)
    threads.waiting = 3
    assert room.left() > 0


def test_the_nap_ends_when_half_has_started(threads: Threads, room: Room):
    threads.have_run(100, 0.001)
    room.left()
    threads.waiting = 80
    assert room.nap() == pytest.approx(0.01)
    threads.waiting = 0
    assert 0 < room.nap() < 0.001
