"""The threads that run tasks. They are started as they are needed and live as long as the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.worker.connections import ThreadConnections

if TYPE_CHECKING:
    from threading import Thread

    from django_machinery.seams.broker import Delivery
    from django_machinery.worker.run import Run


class Slot:
    """What one thread is doing. Written by it alone, read by others."""

    __slots__ = ("began", "delivery", "finished", "run", "seconds")

    def __init__(self) -> None:
        self.began = 0.0
        """`time.monotonic()` of the start of the latest delivery."""
        self.delivery: Delivery | None = None
        """What it holds, from before the task's start until its outcome is handed on."""
        self.run: Run | None = None
        self.finished = 0
        """Deliveries so far."""
        self.seconds = 0.0
        """Spent on them."""

    def occupy(self, run: Run | None) -> None:
        self.run = run


class Pool:
    """Up to `limit` threads that take deliveries in order, the next as soon as one is free.

    `work(delivery, slot)` runs one to its end and hands its outcome on; it must not raise. `hungry` is called by a
    thread that has nothing more to do. Handing over is cheap: `SimpleQueue` takes a lock only where a thread sleeps.
    """

    def __init__(
        self,
        limit: int,
        work: Callable[[Delivery, Slot], None],
        hungry: Callable[[], None],
        start_thread: Callable[[Callable[[], None], str], Thread],
    ) -> None:
        self.limit = limit
        self.slots: list[Slot] = []
        self._work = work
        self._hungry = hungry
        self._start_thread = start_thread
        self._threads: list[Thread] = []
        self._todo: SimpleQueue[Delivery | None] = SimpleQueue()

    @property
    def waiting(self) -> int:
        """Deliveries that no thread has taken yet."""
        return self._todo.qsize()

    @property
    def busy(self) -> int:
        """Threads that work now."""
        return sum(1 for slot in self.slots if slot.delivery is not None)

    @property
    def ends_by(self) -> float | None:
        """`time.monotonic()` of the first end of a hard timeout of what runs; None where nothing that runs has one."""
        runs = [run for slot in tuple(self.slots) if (run := slot.run) is not None]
        limits = [run.began + limit for run in runs if (limit := run.definition.hard_timeout) is not None]
        return min(limits, default=None)

    def give(self, deliveries: Iterable[Delivery]) -> None:
        """Hand deliveries to the threads."""
        for delivery in deliveries:
            self._todo.put(delivery)
        self.grow()

    def grow(self) -> None:
        """Start threads for what waits. A thread that has just taken something may look idle: look again later."""
        while len(self._threads) < self.limit and len(self._threads) - self.busy < self.waiting:
            self._start()

    def take_back(self, older_than: float = float("inf")) -> list[Delivery]:
        """Deliveries that nobody has started and that were claimed before `older_than` (`time.monotonic()`)."""
        waiting = self._drain()
        taken = [delivery for delivery in waiting if delivery.claimed_at < older_than]
        if len(taken) < len(waiting):
            self.give(delivery for delivery in waiting if delivery.claimed_at >= older_than)
        return taken

    def stop(self) -> None:
        """Let every thread end after what it runs. Nothing may be given afterwards."""
        for _ in self._threads:
            self._todo.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the threads to end, after `stop`; whether all have."""
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        slot = Slot()
        self.slots.append(slot)
        name = f"machinery-task-{len(self.slots)}"
        self._threads.append(self._start_thread(lambda: self._serve(slot), name))

    def _serve(self, slot: Slot) -> None:
        database = ThreadConnections()
        get, work, empty = self._todo.get, self._work, self._todo.empty
        while (delivery := get()) is not None:
            began = slot.began = monotonic()
            slot.delivery = delivery
            database.before_task()
            work(delivery, slot)
            database.after_task()
            slot.seconds += monotonic() - began
            slot.finished += 1
            slot.delivery = None
            if empty():
                self._hungry()
        database.close()

    def _drain(self) -> list[Delivery]:
        found: list[Delivery] = []
        try:
            while True:
                delivery = self._todo.get_nowait()
                if delivery is not None:
                    found.append(delivery)
        except Empty:
            return found
