"""The broker seam: a broker takes messages and hands them out; it knows no tasks and starts no executors.

A driver subclasses `Broker` and `Consumer` and states what its store can do in the flags. Callers ask a flag, never
the type. `tests/contracts/broker.py` is this page as tests.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from django_machinery.seams.unit import Bury, OrderedUnit, Publish, Unit

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend, StateChange


class Lease(Enum):
    """What the ownership of a claimed message hangs on."""

    WORKER = "worker"
    """A token with a time limit, renewed by `Broker.renew`; one write however many messages it holds."""
    CONNECTION = "connection"
    """The consumer's connection: the store hands everything out again when that ends."""
    MESSAGE = "message"
    """A time limit for each message, renewed by `Consumer.renew`."""


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

    @property
    def redelivered(self) -> bool:
        """An earlier worker may have run this message, wholly or in part."""
        return self.claim > 1 or self.suspect or self.crashes > 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message seen from outside, for operators: never a claim on it."""

    body: bytes
    queue: str
    due_at: datetime | None = None


class Consumer:
    """One worker process's subscription to some queues: `fetch` and `wait` from one thread, the rest from any."""

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        """Claim up to `limit` messages, by priority and then age, in one round trip; an empty list when there are none.

        With `alone` only suspects are handed out, without it none are, on a broker whose `supports_isolation` is true.
        Raises `BrokerUnavailable`.
        """
        raise NotImplementedError

    def wait(self, timeout: float) -> None:
        """Return as soon as there may be a message, at the latest after `timeout` seconds, at once after `wake`."""
        raise NotImplementedError

    def wake(self) -> None:
        """End a running `wait` (from any thread or a signal handler); with none running, the next one."""
        raise NotImplementedError

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

    def close(self) -> None:
        """Give back what is still held, uncounted, and free the connection. May be called twice."""
        raise NotImplementedError


class Broker:
    """A store of messages. One object per server alias and process; safe to use from several threads.

    Every method raises `BrokerUnavailable` when the store cannot be reached and `BrokerError` when it refuses.
    """

    lease: ClassVar[Lease] = Lease.CONNECTION
    supports_priority: ClassVar[bool] = False
    supports_delay: ClassVar[bool] = False
    """`publish` holds a message back until its ETA; otherwise the server keeps it in the outbox until then."""
    supports_listing: ClassVar[bool] = False
    """`pending` and `delayed` work."""
    supports_isolation: ClassVar[bool] = False
    """Suspects can be fetched apart from the rest."""
    supports_transactions: ClassVar[bool] = False
    """`publish` takes part in the caller's database transaction, so no outbox is needed."""
    executes_inline: ClassVar[bool] = False
    """`publish` runs the tasks in the caller's thread by the executor that the handler gives it."""
    max_body: int | None = None
    """The largest body in bytes; a larger one is refused at send."""
    store: Hashable = None
    """Names the store. A backend with the same store that is not None commits with this broker in one unit."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        self.url = url
        self.config = config

    def publish(self, signatures: Sequence[Signature]) -> None:
        """Put messages on the queues that their `queue` names: all or none where the store allows, else in order.

        Returns once the store has them for good. A UUID that is already waiting is replaced, not doubled, where the
        store can tell. Raises `MessageTooLarge` before anything is written.
        """
        raise NotImplementedError

    def send(self, backend: ResultBackend, changes: Sequence[StateChange], signatures: Sequence[Signature]) -> None:
        """Write the states that go with `signatures`, then publish these: one step where `backend` is the same store.

        Raises what `publish` and `ResultBackend.set_states` raise.
        """
        if changes:
            backend.set_states(changes)
        if signatures:
            self.publish(signatures)

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> Consumer:
        """Subscribe to `queues` (earlier ones first) as the process `token`; `names` are the tasks that it knows."""
        raise NotImplementedError

    def unit(self, consumer: Consumer, backend: ResultBackend, publish: Publish, bury: Bury) -> Unit:
        """What commits the outcomes of `consumer`'s deliveries: one atomic step where `backend` is the same store."""
        return OrderedUnit(consumer, backend, publish, bury)

    def renew(self, tokens: Collection[str]) -> set[str]:
        """Prolong the leases of processes by `config.lease` seconds of the store's clock; returns those still held.

        A token is enlisted by its first renewal. One that was lost (expired and swept) is never held again.
        """
        return set(tokens)

    def reclaim(self, token: str) -> int:
        """A process is known to be dead: its messages become ready again, as suspects; one that it ran alone is blamed.

        Returns how many messages it had held. The token is lost by this.
        """
        return 0

    def resign(self, token: str) -> None:
        """A process ends in good order: give back what it holds, uncounted, and forget the token."""

    def sweep(self) -> int:
        """`reclaim` every token whose lease has run out by the store's clock; returns how many messages they held."""
        return 0

    def promote(self) -> int:
        """Make delayed messages ready that are due, oldest first; returns how many."""
        return 0

    def suspects(self, queues: Sequence[str]) -> int:
        """How many messages wait to be run alone on these queues."""
        return 0

    def pending(self, queue: str, limit: int = 1000) -> list[Waiting]:
        """Messages that are ready, in the order in which they would be handed out."""
        raise NotImplementedError

    def delayed(self, limit: int = 1000) -> list[Waiting]:
        """Messages that wait for their ETA, soonest first."""
        raise NotImplementedError

    def depth(self, queue: str) -> int:
        """How many messages are ready on a queue."""
        raise NotImplementedError

    def purge(self, queue: str) -> int:
        """Delete what is ready on a queue, nothing that is claimed or delayed; returns how many."""
        raise NotImplementedError

    def close(self) -> None:
        """Free connections. The broker may be used again afterwards."""

    def check(self) -> list[CheckMessage]:
        """What `manage.py check` should say about this broker and its configuration."""
        return []
