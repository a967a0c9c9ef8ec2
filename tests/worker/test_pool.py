"""The threads that run tasks."""

import threading
import time
from collections.abc import Callable

import pytest

from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Delivery
from django_machinery.worker.pool import Pool, Slot
from tests.waiting import wait_until
from tests.worker.support import delivery_of


class Work:
    """What the pool is given to do: it waits for `go`."""

    def __init__(self) -> None:
        self.done: list[Delivery] = []
        self.go = threading.Event()
        self.hungry = 0

    def __call__(self, delivery: Delivery, slot: Slot) -> None:
        assert slot.delivery is delivery
        assert self.go.wait(20)
        self.done.append(delivery)

    def thread_is_free(self) -> None:
        self.hungry += 1


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def pool(work: Work) -> Pool:
    return Pool(2, work, work.thread_is_free, start_thread)


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name)
    thread.start()
    return thread


def deliveries(count: int, age: float = 0.0) -> list[Delivery]:
    now = time.monotonic()
    return [delivery_of(Signature(name=str(number)), claimed_at=now - age) for number in range(count)]


def end(pool: Pool, work: Work) -> None:
    work.go.set()
    pool.stop()
    assert pool.join(10)


def test_threads_are_started_as_they_are_needed(pool: Pool, work: Work):
    assert pool.slots == []
    pool.give(deliveries(1))
    wait_until(lambda: pool.busy == 1)
    assert len(pool.slots) == 1
    pool.give(deliveries(5))
    wait_until(lambda: pool.busy == 2)
    assert (len(pool.slots), pool.waiting) == (2, 4)
    end(pool, work)


def test_deliveries_are_taken_in_order(pool: Pool, work: Work):
    given = deliveries(6)
    work.go.set()
    one = Pool(1, work, work.thread_is_free, start_thread)
    one.give(given)
    end(one, work)
    assert work.done == given


def test_what_nobody_has_started_can_be_taken_back_in_order(pool: Pool, work: Work):
    old, young = deliveries(4, age=5.0), deliveries(3)
    pool.give(old)
    wait_until(lambda: pool.busy == 2)
    pool.give(young)
    assert pool.take_back(time.monotonic() - 1.0) == old[2:]
    assert pool.waiting == 3
    assert pool.take_back() == young
    assert pool.waiting == 0
    end(pool, work)
    assert {id(delivery) for delivery in work.done} == {id(delivery) for delivery in old[:2]}


def test_a_thread_that_runs_out_of_work_says_so(pool: Pool, work: Work):
    work.go.set()
    pool.give(deliveries(1))
    wait_until(lambda: work.hungry == 1)
    end(pool, work)


def test_its_figures_add_up(pool: Pool, work: Work):
    pool.give(deliveries(5))
    wait_until(lambda: pool.busy == 2)
    time.sleep(0.02)
    end(pool, work)
    assert sum(slot.finished for slot in pool.slots) == 5
    assert sum(slot.seconds for slot in pool.slots) >= 0.04
    assert pool.busy == 0


def test_join_gives_up_after_its_time(pool: Pool, work: Work):
    pool.give(deliveries(1))
    wait_until(lambda: pool.busy == 1)
    pool.stop()
    assert not pool.join(0.05)
    end(pool, work)
