"""Broker contract: how an idle consumer waits."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from django_machinery.seams.broker import Consumer
from tests.contracts.broker_base import BrokerTopic, Publish, names_of
from tests.contracts.support import collect, uuids


class Waiting(BrokerTopic):
    def test_a_publish_in_another_thread_ends_a_wait(self, consumer: Consumer, publish: Publish):
        consumer.fetch(1)
        with waiting(consumer) as waiter:
            sent = publish(1)
            waiter.join(self.wakes_within)
            assert not waiter.is_alive()
        assert names_of(collect(consumer, 1)) == uuids(sent)

    def test_a_wait_does_not_last_while_messages_are_there(self, consumer: Consumer, publish: Publish):
        publish(1, 2)
        collect(consumer, 1)
        assert seconds_of_wait(consumer, 30) < self.wakes_within
        collect(consumer, 1)

    def test_a_release_ends_the_wait_of_another(self, consumer: Consumer, other: Consumer, publish: Publish):
        publish(1)
        held = collect(consumer, 1)
        other.fetch(1)
        with waiting(other) as waiter:
            consumer.release(held)
            waiter.join(self.wakes_within)
            assert not waiter.is_alive()

    def test_a_wait_ends_at_the_latest_after_its_timeout(self, consumer: Consumer):
        consumer.fetch(1)
        assert 0.2 <= sum(seconds_of_wait(consumer, 0.1) for _ in range(3)) < 3

    def test_wake_ends_a_running_wait(self, consumer: Consumer):
        consumer.fetch(1)
        with waiting(consumer) as waiter:
            consumer.wake()
            waiter.join(1)
            assert not waiter.is_alive()

    def test_wake_with_no_wait_running_ends_the_next_one_and_no_further(self, consumer: Consumer):
        consumer.fetch(1)
        consumer.wake()
        consumer.wake()
        assert seconds_of_wait(consumer, 30) < 1
        assert seconds_of_wait(consumer, 0.3) > 0.2

    def test_a_signal_handler_may_wake_the_thread_that_it_interrupts(self, consumer: Consumer):
        main = threading.get_ident()

        def interrupt() -> None:
            for _ in range(50):
                signal.pthread_kill(main, signal.SIGUSR1)
                time.sleep(0.001)

        with handling_of(signal.SIGUSR1, consumer):
            interrupter = threading.Thread(target=interrupt)
            interrupter.start()
            while interrupter.is_alive():
                assert seconds_of_wait(consumer, 0.2) < 2
            interrupter.join()


@contextmanager
def waiting(consumer: Consumer) -> Iterator[threading.Thread]:
    """A thread that waits for a message for up to a minute; at the end it is woken."""
    started = threading.Event()

    def wait() -> None:
        started.set()
        try:
            consumer.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(5)
    try:
        yield thread
    finally:
        while thread.is_alive():
            consumer.wake()
            thread.join(0.1)


@contextmanager
def handling_of(number: signal.Signals, consumer: Consumer) -> Iterator[None]:
    previous = signal.signal(number, lambda *_: consumer.wake())
    try:
        yield
    finally:
        signal.signal(number, previous)


def seconds_of_wait(consumer: Consumer, timeout: float) -> float:
    start = time.monotonic()
    consumer.wait(timeout)
    return time.monotonic() - start
