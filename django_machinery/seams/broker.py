"""The broker seam: a broker takes messages and hands them out; it knows no tasks and starts no executors.

A driver subclasses `Broker` and `Consumer` and states what its store can do in the flags. Callers ask a flag, never
the type. `tests/contracts/broker.py` is this page as tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from django_machinery.seams.consumer import Consumer, Delivery
from django_machinery.seams.unit import Bury, OrderedUnit, Publish, Unit

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend, StateChange


__all__ = ["Backlog", "Broker", "Consumer", "Delivery", "Lease", "Waiting"]


LISTED = 1000
"""The most delayed messages that are read to count them."""


class Lease(Enum):
    """What the ownership of a claimed message hangs on."""

    WORKER = "worker"
    """A token with a time limit, renewed by `Broker.renew`; one write however many messages it holds."""
    CONNECTION = "connection"
    """The consumer's connection: the store hands everything out again when that ends."""
    MESSAGE = "message"
    """A time limit for each message, renewed by `Consumer.renew`."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message seen from outside, for operators: never a claim on it."""

    body: bytes
    queue: str
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits on one queue."""

    queue: str
    ready: int
    delayed: int
    oldest: float | None = None
    """Seconds for which the message that has been ready the longest waits; None: there is none, or nobody can tell."""


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
    supports_lookup: ClassVar[bool] = False
    """A waiting message is found by the UUID of its task: `Consumer.take` works."""
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

    def reclaim(self, token: str, *, blame: bool = True) -> int:
        """A process is known to be dead: its messages become ready again, as suspects; one that it ran alone is blamed.

        Returns how many messages it had held. The token is lost by this. Without `blame` the process did not end by
        itself, and nothing that it ran is to blame.
        """
        return 0

    def resign(self, token: str) -> None:
        """A process ends in good order: give back what it holds, uncounted, and forget the token."""

    def sweep(self) -> int:
        """`reclaim` every token whose lease has run out by the store's clock; returns how many messages they held."""
        return 0

    def next_due(self) -> float | None:
        """Seconds by the store's clock until `promote` finds something, 0 or less when it would; None: nothing waits.

        It is asked all the time, so it costs next to nothing. 0: nobody can tell but `promote`.
        """
        return 0.0

    def promote(self) -> int:
        """Make delayed messages ready that are due, oldest first; returns how many."""
        return 0

    def hasten(self, uuids: Sequence[str]) -> int:
        """Make delayed messages of these tasks due now; returns how many. None where the broker cannot delay."""
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

    def backlogs(self, queues: Sequence[str]) -> list[Backlog]:
        """What waits on these queues and, where the store can tell, on further ones.

        Of delayed messages only the `LISTED` soonest are counted where they have to be listed for it.
        """
        listed = self.delayed(LISTED) if self.supports_delay and self.supports_listing else []
        delayed = Counter(message.queue for message in listed)
        return [Backlog(queue, self.depth(queue), delayed[queue]) for queue in {*queues, *delayed}]

    def purge(self, queue: str) -> int:
        """Delete what is ready on a queue, nothing that is claimed or delayed; returns how many."""
        raise NotImplementedError

    def close(self) -> None:
        """Free connections. The broker may be used again afterwards."""

    def check(self) -> list[CheckMessage]:
        """What `manage.py check` should say about this broker and its configuration."""
        return []
