"""One worker process's claims on its queues."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from django_machinery.drivers.redis import parking
from django_machinery.drivers.redis.errors import is_full
from django_machinery.drivers.redis.keys import QUEUES, QueueKeys
from django_machinery.drivers.redis.leases import give_back, unland
from django_machinery.drivers.redis.script import Script
from django_machinery.drivers.redis.waiting import Waiter
from django_machinery.exceptions import BrokerUnavailable
from django_machinery.seams.consumer import Consumer, Delivery, QueueOrder

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.client import Client

MOST = 1000
"""The most messages of one claim."""
SHUNNED = 100
"""The most names of a claim whose messages it leaves to others."""
GLANCE = 0.05
"""Seconds between two looks at a queue that has messages which are left to others, or in a Redis that is full: there
one can claim, but not wait."""
FULL = 1.0
"""Seconds until a full Redis is asked again whether it lets us wait."""
TEND_EVERY = 0.25
"""Seconds between two looks after what is parked and what is held."""

_CLAIM, _CLAIM_SUSPECTS = Script("claim"), Script("claim_suspects")
_SETTLE, _KNOW = Script("settle"), Script("know")


class Handle(NamedTuple):
    """Where a claimed message is: the queue, and its field in the hash of the process."""

    keys: QueueKeys
    field: bytes


class RedisConsumer(Consumer):
    """The only one of its token: what is held under that and is not known here is given back."""

    def __init__(self, client: Client, queues: Sequence[QueueKeys], token: str, config: ServerConfig) -> None:
        self._client = client
        self._queues = queues
        self._order = QueueOrder([keys.queue for keys in queues], config.queue_weights)
        self._by_name = {keys.queue: keys for keys in queues}
        self._token = token
        self._has_priorities = config.redis_priorities
        self._waiter = Waiter(client, queues, token, config)
        self._held: dict[Handle, Delivery] = {}
        self._hashes = {keys: keys.held(token) for keys in queues}
        """The hash of what is held of each queue."""
        self._is_known = False
        """Whether our queues are among those that sweeps look at."""
        self._tends_at = 0.0
        self._shunned: dict[bytes, float] = {}
        """The names of tasks that are not known here -> until when their messages are left to others."""
        self._leaves_some = False
        """Whether the last claim has left messages to others."""
        self._full_until = 0.0
        self._fetches_ordinary = False
        """Whether, since the last wait, anything but suspects was asked for."""

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        self._fetches_ordinary |= not alone
        self._tend()
        try:
            claim = self._claim_suspects if alone else self._claim
            deliveries = list(claim(min(limit, MOST))) if self._order.open else []
        except BrokerUnavailable:
            # The claim may have been carried out, and its answer lost: look at once, when Redis is back.
            self._is_known, self._tends_at = False, 0.0
            raise
        self._held.update((delivery.handle, delivery) for delivery in deliveries)
        return deliveries

    def wait(self, timeout: float) -> None:
        ordinary, self._fetches_ordinary = self._fetches_ordinary, False
        if ordinary and (self._leaves_some or time.monotonic() < self._full_until):
            self._waiter.wait(min(timeout, GLANCE), takes_messages=False)
            return
        try:
            self._waiter.wait(timeout, takes_messages=ordinary and bool(self._order.open))
        except BrokerUnavailable as error:
            self._full_until = time.monotonic() + FULL if is_full(error) else 0.0
            raise

    def wake(self) -> None:
        self._waiter.wake()

    def pause(self, queues: Collection[str]) -> None:
        """What a wait has moved here from a queue that is paused now goes back to its head."""
        self._order.pause(queues)
        self._waiter.watch(self._open)
        paused = [keys for keys in self._queues if keys.queue in queues]
        self._client.calls([(keys.queue, unland(keys, self._token)) for keys in paused])

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        parts = list(self._by_queue(deliveries))
        replies = self._client.calls(
            [(keys.queue, _SETTLE([keys.held(self._token)], *fields)) for keys, fields in parts]
        )
        self.forget(deliveries)
        settled = {
            Handle(keys, field): bool(result)
            for (keys, fields), results in zip(parts, replies, strict=True)
            for field, result in zip(fields, results, strict=True)
        }
        return [settled[delivery.handle] for delivery in deliveries]

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """These are held no longer: a unit has settled them."""
        for delivery in deliveries:
            self._held.pop(delivery.handle, None)

    def place(self, delivery: Delivery) -> tuple[str, bytes]:
        """The hash and the field in which a delivery is while it is ours."""
        handle = delivery.handle
        return self._hashes[handle.keys], handle.field

    def release(self, deliveries: Sequence[Delivery]) -> None:
        self._give_back(self._by_queue(deliveries))
        self.forget(deliveries)

    def park(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of these tasks are not claimed for as long, and then as long again: Go workers may want them."""
        now = time.monotonic()
        found = dict.fromkeys(parking.names(delivery.body for delivery in deliveries), now + 2 * parking.PARKED / 1000)
        self._shunned = {name: until for name, until in self._shunned.items() if until > now} | found
        self._client.calls(
            [(keys.queue, parking.park(keys, self._token, fields)) for keys, fields in self._by_queue(deliveries)]
        )
        self.forget(deliveries)

    def holds(self, deliveries: Sequence[Delivery]) -> list[bool]:
        places = [self.place(delivery) for delivery in deliveries]
        return [bool(held) for held in self._client.calls([(key, ("HEXISTS", key, field)) for key, field in places])]

    def close(self) -> None:
        self._waiter.close()
        self._held.clear()
        self._client.calls([(keys.queue, give_back(keys, self._token)) for keys in self._queues])

    @property
    def _open(self) -> list[QueueKeys]:
        """The queues that are not paused."""
        return [self._by_name[name] for name in self._order.open]

    def _tend(self) -> None:
        """Take parked messages up again, and give back what was claimed without our knowing."""
        if time.monotonic() < self._tends_at:
            return
        if not self._is_known:
            self._client.call(QUEUES, _KNOW([QUEUES], *(keys.queue for keys in self._queues)))
            self._is_known = True
        counts = self._client.calls([(keys.queue, parking.tend(keys, self._token)) for keys in self._queues])
        self._tends_at = time.monotonic() + TEND_EVERY
        for keys, count in zip(self._queues, counts, strict=True):
            if count > sum(handle.keys is keys for handle in self._held.copy()):
                self._release_strays(keys)

    def _release_strays(self, keys: QueueKeys) -> None:
        """Give back what an earlier claim took whose answer never came. Claims are made by this thread alone."""
        fields = self._client.call(keys.queue, ("HKEYS", keys.held(self._token)))
        strays = [field for field in fields if Handle(keys, field) not in self._held]
        self._give_back([(keys, strays)] if strays else [])

    def _claim(self, limit: int) -> Iterator[Delivery]:
        """In one step for all queues where they can be in one, else in a step each, until there are enough."""
        queues = [self._by_name[name] for name in self._order.next()]
        groups = [queues] if self._client.one_slot else [[keys] for keys in queues]
        self._leaves_some = False
        for group in groups:
            places = [place for keys in group for place in self._claim_places(keys)]
            nonce = secrets.token_hex(4).encode()
            flags = (int(self._has_priorities), parking.CROWD)
            command = _CLAIM(places, limit, nonce, self._token, *flags, *self._shunned_now())
            for keys, (*claimed, left) in zip(group, self._client.call(group[0].queue, command), strict=True):
                limit -= len(claimed[2])
                self._leaves_some |= left > 0
                yield from self._ordinary(keys, nonce, *claimed)
            if limit <= 0:
                return

    def _claim_places(self, keys: QueueKeys) -> tuple[str, ...]:
        token = self._token
        places = keys.queue, keys.urgent, keys.landing(token), keys.held(token), keys.counter, keys.holders
        return *places, keys.parked, keys.bell

    def _shunned_now(self) -> list[bytes]:
        now = time.monotonic()
        return [name for name, until in self._shunned.items() if until > now][:SHUNNED]

    def _ordinary(
        self, keys: QueueKeys, nonce: bytes, base: int, marks: list[bytes], bodies: list[bytes]
    ) -> Iterator[Delivery]:
        now, token, queue = time.monotonic(), self._token, keys.queue
        for number, body in enumerate(bodies):
            field = b"%d:%b" % (base + number + 1, nonce)
            if number < len(marks):
                field += marks[number]
            yield Delivery(body, queue, Handle(keys, field), token, claimed_at=now)

    def _claim_suspects(self, limit: int) -> Iterator[Delivery]:
        queues = self._open
        groups = [queues] if self._client.one_slot else [[keys] for keys in queues]
        for group in groups:
            places = [
                place for keys in group for place in (keys.suspects, keys.held(self._token), keys.counter, keys.holders)
            ]
            command = _CLAIM_SUSPECTS(places, limit, secrets.token_hex(4), self._token)
            found = self._client.call(group[0].queue, command)
            for number, field, body in zip(found[::3], found[1::3], found[2::3], strict=True):
                yield self._suspect(group[number - 1], field, body)
            limit -= len(found) // 3
            if limit <= 0:
                return

    def _suspect(self, keys: QueueKeys, field: bytes, body: bytes) -> Delivery:
        claims, crashes = map(int, field.rsplit(b":", 2)[1:])
        return Delivery(
            body,
            keys.queue,
            Handle(keys, field),
            self._token,
            claim=claims + 1,
            crashes=crashes,
            suspect=True,
            claimed_at=time.monotonic(),
        )

    def _give_back(self, parts: Iterable[tuple[QueueKeys, list[bytes]]]) -> None:
        self._client.calls([(keys.queue, give_back(keys, self._token, fields)) for keys, fields in parts])

    @staticmethod
    def _by_queue(deliveries: Sequence[Delivery]) -> Iterator[tuple[QueueKeys, list[bytes]]]:
        parts: dict[QueueKeys, list[bytes]] = {}
        for delivery in deliveries:
            parts.setdefault(delivery.handle.keys, []).append(delivery.handle.field)
        yield from parts.items()
