"""Signals and calls that reach the main thread through a pipe."""

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from django_machinery.worker.wakeup import Wakeup


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def readable(wakeup: Wakeup) -> bool:
    return bool(select.select([wakeup.file], [], [], 5)[0])


def test_a_signal_is_told_by_its_number(wakeup: Wakeup):
    with wakeup.signals([signal.SIGUSR1]):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert readable(wakeup)
        assert wakeup.receive() == [signal.SIGUSR1]
        assert wakeup.receive() == []


def test_handlers_are_put_back(wakeup: Wakeup):
    before = signal.getsignal(signal.SIGUSR1)
    with wakeup.signals([signal.SIGUSR1]):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before


def test_what_other_threads_ask_for_is_done_by_the_thread_that_receives(wakeup: Wakeup):
    done: list[tuple[int, threading.Thread]] = []

    def ask() -> None:
        for number in range(3):
            wakeup.call(lambda number=number: done.append((number, threading.current_thread())))  # type: ignore[misc]

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert done == []
    assert readable(wakeup)
    wakeup.receive()
    assert done == [(number, threading.current_thread()) for number in range(3)]


def test_a_flood_of_calls_blocks_nobody_and_loses_none(wakeup: Wakeup):
    done: list[int] = []
    for _ in range(100_000):
        wakeup.call(lambda: done.append(1))
    wakeup.receive()
    assert len(done) == 100_000
