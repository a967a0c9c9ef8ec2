"""One worker process's side of a broker: a delivery, and the consumer that hands deliveries out and takes them back."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import Q


@dataclass(slots=True, eq=False)
class Delivery:
    """One message handed to one worker.

    `token` and `claim` are its fence: what a worker does to a message counts only while both are still the store's.
    """

    body: bytes
    queue: str
    handle: Any
    """What the driver finds the message by: a row id, a delivery tag, a receipt."""
    token: str
    claim: int = 1
    """How often the message has been handed out, this time included; released claims are not counted."""
    crashes: int = 0
    """How many crashes of a process were blamed on this message."""
    suspect: bool = False
    """It was held by a process that crashed: to be run with no other task in the process."""
    uuid: str = ""
    """The UUID of the task where the driver knows it apart from the body, for bodies that cannot be decoded."""
    claimed_at: float = 0.0
    """`time.monotonic()` of the claim, seconds."""
    waited: float | None = None
    """Seconds for which it had been ready when it was claimed, by the store's clock; None: nobody knows."""

    @property
    def redelivered(self) -> bool:
        """An earlier worker may have run this message, wholly or in part."""
        return self.claim > 1 or self.suspect or self.crashes > 0


class QueueOrder:
    """In which order a consumer asks its queues: as they are given or, with weights, by lot before each fetch."""

    def __init__(self, queues: Sequence[str], weights: Mapping[str, int]) -> None:
        """`weights` by queue; one that is not named weighs 1. Empty: the order is that of `queues`."""
        self.queues = tuple(queues)
        self.open = self.queues
        """Those that are not paused."""
        self._weights = weights

    def pause(self, queues: Collection[str]) -> None:
        """Leave these out from now on, and no others."""
        self.open = tuple(queue for queue in self.queues if queue not in queues)

    def next(self) -> Sequence[str]:
        """All queues that are not paused. Each is the first with the probability of its share in the sum of their
        weights, and so on for the second among those that are left: nobody starves."""
        if not self._weights:
            return self.open
        lots = [(random.expovariate(self._weights.get(queue, 1)), queue) for queue in self.open]
        return [queue for _, queue in sorted(lots)]


class Consumer:
    """One worker process's subscription to some queues: `fetch` and `wait` from one thread, the rest from any."""

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        """Claim up to `limit` messages, by priority and then age, in one round trip; an empty list when there are none.

        A broker that pushes lets in no more than `limit` until the next call. With `alone` only suspects are handed
        out, without it none are, on a broker whose `supports_isolation` is true. Raises `BrokerUnavailable`.
        """
        raise NotImplementedError

    def wait(self, timeout: float) -> None:
        """Return as soon as there may be a message, at the latest after `timeout` seconds, at once after `wake`."""
        raise NotImplementedError

    def wake(self) -> None:
        """End a running `wait` (from any thread or a signal handler); with none running, the next one."""
        raise NotImplementedError

    def pause(self, queues: Collection[str]) -> None:
        """Hand out nothing of these queues any more, and again of all others; what was handed out stays so.

        From the thread that calls `fetch`. Names that are none of this consumer's queues change nothing.
        """
        raise NotImplementedError

    def take(self, uuids: Sequence[str]) -> list[Delivery]:
        """Claim the messages of these tasks that wait, on whatever queue, delayed ones too; from any thread.

        Those that others hold are left out. Nothing where the broker's `supports_lookup` is false.
        """
        return []

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Take the messages off the queue for good; for each: was it still ours?"""
        raise NotImplementedError

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give messages back untouched, at their old place where the store has places; the claim is not counted."""
        raise NotImplementedError

    def park(self, deliveries: Sequence[Delivery]) -> None:
        """Give back messages whose task is not known here, uncounted, so that they neither spin nor block others."""
        raise NotImplementedError

    def renew(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Prolong the leases of messages where each has its own; returns those that are no longer ours."""
        return []

    def holds(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each: is it still ours? In a transaction of the consumer's database the answer holds until its end.

        Of a broker that cannot tell each is, unless `renew` says otherwise.
        """
        lost = {id(delivery) for delivery in self.renew(deliveries)}
        return [id(delivery) not in lost for delivery in deliveries]

    def claim_on(self, delivery: Delivery) -> Q | None:
        """That it is still ours, as a condition of statements on the store of the broker; None: there are no such."""
        return None

    def close(self) -> None:
        """Give back what is still held, uncounted, and free the connection. May be called twice."""
        raise NotImplementedError
