"""The Redis broker: Go's lists and its set of delayed messages, and beside them what makes deliveries safe."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.clients import open_client
from django_machinery.drivers.redis.consumer import RedisConsumer
from django_machinery.drivers.redis.delays import Delays
from django_machinery.drivers.redis.errors import BROKER
from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.drivers.redis.lanes import Lanes
from django_machinery.drivers.redis.leases import Leases
from django_machinery.drivers.redis.priorities import priority_messages
from django_machinery.drivers.redis.program import Program
from django_machinery.drivers.redis.script import Script
from django_machinery.drivers.redis.states import CHUNK, add_states, lifetime, recount
from django_machinery.drivers.redis.unit import GroupUnit, RedisUnit
from django_machinery.protocol.codec import encode_signature
from django_machinery.seams.broker import Broker, Consumer, Lease, Waiting
from django_machinery.seams.unit import Bury, Publish, Unit

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.lanes import Lane
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend, StateChange

_PURGE = Script("purge")

Batch = tuple[list["StateChange"], list[tuple["Lane", bytes]]]
"""States, and the messages that go with them, each with where it goes."""


class RedisBroker(Broker):
    """A message is on exactly one key at any time: to move it is one step, except to where a Cluster has other slots.

    A message that is sent twice is there twice: lists cannot tell.
    """

    lease = Lease.WORKER
    supports_delay = True
    supports_listing = True
    supports_isolation = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self.client = open_client(url, config, BROKER)
        self.store = self.client.address.store
        self.supports_priority = config.redis_priorities  # type: ignore[misc]
        self._keep = lifetime(config)
        self._lanes = Lanes(config.redis_delayed_tasks_key, has_priorities=config.redis_priorities)
        self._leases = Leases(self.client, config.lease)
        self._delays = Delays(self.client, self._lanes, config.redis_delayed_tasks_key, config)
        self._collected = threading.local()

    def publish(self, signatures: Sequence[Signature]) -> None:
        """All of up to 1,000 or none of them; more in order. In a Cluster all of one queue."""
        self._write((), signatures)

    def send(self, backend: ResultBackend, changes: Sequence[StateChange], signatures: Sequence[Signature]) -> None:
        batch: Batch | None = getattr(self._collected, "batch", None)
        if batch is not None:
            batch[0].extend(changes)
            batch[1].extend(self._encoded(signatures))
        elif self.store is not None and backend.store == self.store:
            self._write(changes, signatures)
        else:
            super().send(backend, changes, signatures)

    @contextmanager
    def collecting(self) -> Iterator[Batch]:
        """Let `send`, in this thread, only add to the batch: for a unit, which is one step."""
        batch: Batch = ([], [])
        self._collected.batch = batch
        try:
            yield batch
        finally:
            self._collected.batch = None

    def program(self) -> Program:
        """An empty one, for states and messages as this broker's settings want them."""
        return Program(self._keep, self.config.limits)

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> Consumer:
        return RedisConsumer(self.client, [queue_keys(queue) for queue in queues], token, self.config)

    def unit(self, consumer: Consumer, backend: ResultBackend, publish: Publish, bury: Bury) -> Unit:
        if self.store is not None and backend.store == self.store:
            assert isinstance(consumer, RedisConsumer)
            return RedisUnit(self, consumer, backend, publish, bury)
        return GroupUnit(consumer, backend, publish, bury)

    def renew(self, tokens: Collection[str]) -> set[str]:
        return self._leases.renew(tokens)

    def reclaim(self, token: str, *, blame: bool = True) -> int:
        return self._leases.reclaim(token, blame=blame)

    def resign(self, token: str) -> None:
        self._leases.resign(token)

    def sweep(self) -> int:
        return self._leases.sweep()

    def next_due(self) -> float | None:
        return self._delays.next_due()

    def promote(self) -> int:
        return self._delays.promote()

    def hasten(self, uuids: Sequence[str]) -> int:
        return self._delays.hasten(uuids)

    def suspects(self, queues: Sequence[str]) -> int:
        keys = map(queue_keys, queues)
        return sum(self.client.calls([(each.queue, ("LLEN", each.suspects)) for each in keys]))

    def pending(self, queue: str, limit: int = 1000) -> list[Waiting]:
        """What was parked or is to be run alone comes last."""
        keys, last = queue_keys(queue), limit - 1
        urgent, ready, parked, suspects = self.client.calls(
            [
                (queue, ("ZRANGE", keys.urgent, 0, last)),
                (queue, ("LRANGE", queue, 0, last)),
                (queue, ("ZRANGE", keys.parked, 0, last)),
                (queue, ("LRANGE", keys.suspects, 0, last)),
            ]
        )
        bodies = [member[16:] for member in urgent] + ready
        bodies += [member.partition(b"|")[2] for member in parked] + [each.split(b":", 2)[2] for each in suspects]
        return [Waiting(body, queue) for body in bodies[:limit]]

    def delayed(self, limit: int = 1000) -> list[Waiting]:
        return self._delays.waiting(limit)

    def depth(self, queue: str) -> int:
        keys = queue_keys(queue)
        lists = [("LLEN", queue), ("LLEN", keys.suspects), ("ZCARD", keys.urgent), ("ZCARD", keys.parked)]
        return sum(self.client.calls([(queue, command) for command in lists]))

    def purge(self, queue: str) -> int:
        keys = queue_keys(queue)
        count: int = self.client.call(queue, _PURGE([queue, keys.urgent, keys.parked, keys.suspects, keys.bell]))
        return count

    def close(self) -> None:
        self.client.close()

    def check(self) -> list[CheckMessage]:
        return priority_messages(self.config)

    def _write(self, changes: Sequence[StateChange], signatures: Sequence[Signature]) -> None:
        sent = self._encoded(signatures)
        if self.client.one_slot and len(changes) + len(sent) <= CHUNK:
            self._write_at_once(changes, sent)
            return
        for start in range(0, len(changes), CHUNK):
            self._write_at_once(changes[start : start + CHUNK], ())
        for start in range(0, len(sent), CHUNK):
            self._send(sent[start : start + CHUNK])

    def _encoded(self, signatures: Sequence[Signature]) -> list[tuple[Lane, bytes]]:
        limits = self.config.limits
        return [(self._lanes.of(signature), encode_signature(signature, limits)) for signature in signatures]

    def _write_at_once(self, changes: Sequence[StateChange], sent: Sequence[tuple[Lane, bytes]]) -> None:
        program = self.program()
        add_states(program, changes)
        _add_messages(program, sent)
        if program.items:
            results = self.client.call(program.key, program.command)
            recount(self.client, changes, results[: len(changes)])

    def _send(self, sent: Sequence[tuple[Lane, bytes]]) -> None:
        """Messages alone, in order: a step a slot."""
        parts: dict[str, list[tuple[Lane, bytes]]] = {}
        for lane, body in sent:
            parts.setdefault("" if self.client.one_slot else lane.key, []).append((lane, body))
        programs = []
        for part in parts.values():
            programs.append(self.program())
            _add_messages(programs[-1], part)
        self.client.calls([(program.key, program.command) for program in programs])


def _add_messages(program: Program, sent: Sequence[tuple[Lane, bytes]]) -> None:
    if sent:
        program.item()
        for lane, body in sent:
            program.message(lane, body)
