"""The fetch loop: claims little, hands it to the threads, gives back what they do not get round to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.exceptions import BrokerError
from django_machinery.seams.broker import Lease
from django_machinery.worker.connections import forget_queries
from django_machinery.worker.room import Room

if TYPE_CHECKING:
    from django_machinery.seams.broker import Broker, Consumer, Delivery
    from django_machinery.worker.committer import Committer
    from django_machinery.worker.controls import Controls
    from django_machinery.worker.hooks import Hooks
    from django_machinery.worker.leases import MessageLeases
    from django_machinery.worker.pool import Pool
    from django_machinery.worker.stores import Stores

UNSTARTED = 1.0
"""Seconds after which a message that no thread has started goes back to the queue."""
UNCOMMITTED = 2000
"""Outcomes that may wait for their commit before no more is claimed."""
IDLE = 1.0
"""The longest wait in seconds."""
BRIEF = 0.1
"""Seconds between two looks at something that no event tells."""


class Suspects(Enum):
    """What a process does about messages that were in a crash, where the broker hands them out apart from the rest."""

    LEAVE = "leave"
    """To the processes that are started for them."""
    ONLY = "only"
    """Fetch nothing else, one at a time, and end when there are no more."""
    WHEN_QUIET = "when quiet"
    """Take one when nothing else runs here."""


class Fetcher:
    """One loop, in the thread that calls `run`. What was in a crash runs with nothing else in the process."""

    def __init__(
        self,
        broker: Broker,
        consumer: Consumer,
        pool: Pool,
        committer: Committer,
        stores: Stores,
        hooks: Hooks,
        controls: Controls,
        leases: MessageLeases | None,
        *,
        suspects: Suspects,
        max_tasks: int | None,
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called every `IDLE` seconds, or oftener where the lease is short, as long as the loop moves."""
        self.claimed = 0
        """Deliveries so far, without those that were given back."""
        self._broker = broker
        self._consumer = consumer
        self._pool = pool
        self._committer = committer
        self._stores = stores
        self._hooks = hooks
        self._controls = controls
        self._paused: Collection[str] = ()
        self._leases = leases
        self._suspects = suspects
        self._max_tasks = max_tasks
        self._beat = beat
        self._idle = min(IDLE, broker.config.lease * 0.15)
        self._room = Room(pool)
        self._stopped = Event()
        self._changed = Event()
        self._listens = False
        self._ends_when_empty = suspects is Suspects.ONLY
        self._isolated: list[Delivery] = []
        """Suspects that wait for the process to be quiet."""
        self._alone = False
        """A suspect runs: nothing may join it."""

    def run(self, *, drain: bool = False) -> None:
        """Fetch until `stop`, until `max_tasks` were started or, with `drain`, until nothing is left to run."""
        self._ends_when_empty |= drain
        empty_rounds = 0
        while not self._stopped.is_set() and not self.has_enough:
            self._beat()
            quiet = self.held == 0
            busy = self._make_round()
            empty_rounds = empty_rounds + 1 if quiet and not busy else 0
            # The second look is for brokers that push: their first answer may come before their first message.
            if self._ends_when_empty and empty_rounds >= 2:
                return
            if self._pool.waiting:
                self._pool.grow()
                self._give_back_unstarted()
            forget_queries()

    def stop(self) -> None:
        """End the loop soon. From any thread."""
        self._stopped.set()
        self._changed.set()
        self._consumer.wake()

    def look_again(self) -> None:
        """Other queues are paused than before. From any thread."""
        self._changed.set()
        self._consumer.wake()

    def thread_is_free(self) -> None:
        """A thread has nothing to do. Costs nothing while the loop does not wait for that."""
        if self._listens:
            self._changed.set()

    @property
    def stopped(self) -> bool:
        """Was `stop` called?"""
        return self._stopped.is_set()

    @property
    def held(self) -> int:
        """Deliveries that are neither settled nor given back."""
        return self.claimed - self._committer.ended

    @property
    def has_enough(self) -> bool:
        """Were `max_tasks` started?"""
        enough = self._max_tasks is not None and self.claimed >= self._max_tasks
        return enough and not self._pool.waiting and not self._isolated

    def give_back_all(self) -> None:
        """Release everything that no thread has started."""
        isolated, self._isolated = self._isolated, []
        self._give_back([*isolated, *self._pool.take_back()])

    def _make_round(self) -> bool:
        """Claim and hand out, or wait for something to change; false when there was nothing to claim."""
        if self._isolated or self._alone:
            self._isolate()
        elif not self._hooks.may_consume():
            self._wait_for_change(BRIEF)
        elif (room := self._room_now()) <= 0:
            self._wait_for_room()
        else:
            return self._fetch(room)
        return True

    def _fetch(self, room: int) -> bool:
        found = self._hand_out(self._claim(room, alone=self._suspects is Suspects.ONLY))
        if not found and self._may_take_suspect():
            found = self._hand_out(self._claim(1, alone=True))
        if found < room and not self._isolated:
            self._wait_for_message()
        return found > 0

    def _room_now(self) -> int:
        if self._suspects is Suspects.ONLY:
            return 0 if self.held else 1
        if self._committer.waiting > UNCOMMITTED:
            return 0
        room = self._room.left()
        return room if self._max_tasks is None else min(room, self._max_tasks - self.claimed)

    def _claim(self, limit: int, *, alone: bool) -> list[Delivery]:
        outage = None
        while not self._stopped.is_set():
            try:
                self._heed_pauses()
                deliveries = self._consumer.fetch(limit, alone=alone)
            except BrokerError as error:
                outage = self._stores.lost(error, outage)
                self._hooks.failed(error)
                self._stopped.wait(outage.delay)
                self._beat()
            else:
                if outage is not None:
                    self._stores.works(outage)
                return deliveries
        return []

    def _heed_pauses(self) -> None:
        if (paused := self._controls.paused) is not self._paused:
            self._consumer.pause(paused)
            self._paused = paused

    def _hand_out(self, deliveries: list[Delivery]) -> int:
        self.claimed += len(deliveries)
        if self._leases is not None:
            self._leases.claimed(deliveries)
        if self._suspects is not Suspects.ONLY and any(delivery.suspect for delivery in deliveries):
            self._isolated += [delivery for delivery in deliveries if delivery.suspect]
            self._pool.give(delivery for delivery in deliveries if not delivery.suspect)
        elif deliveries:
            self._pool.give(deliveries)
        return len(deliveries)

    def _isolate(self) -> None:
        """Let a suspect run once nothing else does; if that takes too long, another process may find the time."""
        if self.held == len(self._isolated):
            self._alone = bool(self._isolated)
            if self._isolated:
                self._pool.give([self._isolated.pop(0)])
        elif not self._alone and self._isolated[0].claimed_at < monotonic() - UNSTARTED:
            isolated, self._isolated = self._isolated, []
            self._give_back(isolated)
        else:
            self._wait_for_change(BRIEF)

    def _may_take_suspect(self) -> bool:
        return self._suspects is Suspects.WHEN_QUIET and self._broker.supports_isolation and not self.held

    def _give_back_unstarted(self) -> None:
        if self._pool.busy == self._pool.limit:
            self._give_back(self._pool.take_back(monotonic() - UNSTARTED))

    def _give_back(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            self._stores.call(lambda: self._release(deliveries))
            self.claimed -= len(deliveries)
            if self._leases is not None:
                self._leases.ended(deliveries)

    def _release(self, deliveries: list[Delivery]) -> None:
        self._beat()  # at every attempt: that a store is away does not mean that the loop hangs
        self._consumer.release(deliveries)

    def _wait_for_room(self) -> None:
        if self._broker.lease is Lease.CONNECTION:
            self._claim(0, alone=False)  # a broker that pushes: no more for now
        self._listens = True
        if self._room_now() <= 0:
            self._changed.wait(self._room.nap() if self._pool.waiting else self._idle)
        self._listens = False
        self._changed.clear()

    def _wait_for_change(self, seconds: float) -> None:
        self._listens = True
        self._changed.wait(seconds)
        self._listens = False
        self._changed.clear()

    def _wait_for_message(self) -> None:
        try:
            self._consumer.wait(BRIEF if self._pool.waiting or self._ends_when_empty else self._idle)
        except BrokerError as error:
            self._stopped.wait(self._stores.lost(error).delay)
