"""One worker process's subscription to queues in the database."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models import Exists, Q

from django_machinery.drivers.orm.listen import ListenWatch
from django_machinery.drivers.orm.store import retried, translated
from django_machinery.drivers.orm.watch import Bell, VersionWatch, Watch
from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.models import Message
from django_machinery.seams.consumer import Consumer, Delivery, QueueOrder

if TYPE_CHECKING:
    from django_machinery.drivers.orm.notify import Notifier
    from django_machinery.models.sql.rows import Claimed, Fence

PARKED_EVERY = 0.5
"""Seconds between looks for messages that others have parked, while there are none or others wait."""


class OrmConsumer(Consumer):
    """Claims in the name of the row of its process, whose lease the broker renews."""

    def __init__(
        self,
        alias: str,
        order: QueueOrder,
        names: Collection[str],
        token: str,
        worker_id: int,
        notifier: Notifier,
        dsn: str,
    ) -> None:
        self.worker_id = worker_id
        self._alias = alias
        self._order = order
        self._queues = list(order.queues)
        self._names = sorted(names)
        self._token = token
        self._notifier = notifier
        self._messages = Message.objects.db_manager(alias)
        self._bell = Bell()
        self._watch = _watch(alias, dsn, self._queues)
        self._more = False
        self._parked_from = 0.0
        self._parked = False
        self._closed = False

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        with translated(self._alias, BrokerUnavailable, BrokerError):
            claimed = retried(self._alias, lambda: self._claim(limit, alone))
        self._more = bool(claimed)
        if claimed:
            self._watch.stir()
        now = time.monotonic()
        return [self._delivery(message, now) for message in claimed]

    def wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        if self._more:  # of a full queue nobody may tell again
            self._more = False
            return
        while (left := end - time.monotonic()) > 0:
            if self._bell.wait(min(left, self._watch.pause()), self._watch.fd) or self._has_changed():
                return

    def wake(self) -> None:
        self._bell.ring()

    def pause(self, queues: Collection[str]) -> None:
        self._order.pause(queues)

    def take(self, uuids: Sequence[str]) -> list[Delivery]:
        with translated(self._alias, BrokerUnavailable, BrokerError):
            taken = retried(self._alias, lambda: self._messages.take(self.worker_id, uuids))
        now = time.monotonic()
        return [self._delivery(message, now) for message in taken]

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        if not deliveries:
            return []
        with translated(self._alias, BrokerUnavailable, BrokerError):
            ours = retried(self._alias, lambda: self._settle(_fences(deliveries)))
        return [fence in ours for fence in _fences(deliveries)]

    def release(self, deliveries: Sequence[Delivery]) -> None:
        self._give_back(deliveries, parked=False)
        self._notifier.after_commit(delivery.queue for delivery in deliveries)

    def park(self, deliveries: Sequence[Delivery]) -> None:
        self._give_back(deliveries, parked=True)

    def holds(self, deliveries: Sequence[Delivery]) -> list[bool]:
        with translated(self._alias, BrokerUnavailable, BrokerError):
            held = self._messages.held(self.worker_id, _fences(deliveries))
        return [fence in held for fence in _fences(deliveries)]

    def claim_on(self, delivery: Delivery) -> Q:
        row = self._messages.filter(id=delivery.handle, claims=delivery.claim, worker_id=self.worker_id)
        return Q(Exists(row.filter(status=Message.Status.CLAIMED)))

    def close(self) -> None:
        """What cannot be given back now, because the database is away, others take when the lease has run out."""
        if self._closed:
            return
        self._closed = True
        with suppress(BrokerUnavailable), translated(self._alias, BrokerUnavailable, BrokerError):
            if retried(self._alias, lambda: self._messages.give_back_all(self.worker_id)):
                self._notifier.after_commit(self._queues)
        self._watch.close()
        self._bell.close()

    def _claim(self, limit: int, alone: bool) -> list[Claimed]:
        """What is ready; before it now and then a share of what is parked, which no backlog may hold up for ever."""
        claimed = [] if alone or time.monotonic() < self._parked_from else self._claim_parked(max(1, limit // 4))
        if len(claimed) < limit:
            claimed += self._messages.claim(self.worker_id, self._order.next(), limit - len(claimed), alone=alone)
        if len(claimed) < limit and self._parked and not alone:
            claimed += self._claim_parked(limit - len(claimed))
        return claimed

    def _claim_parked(self, limit: int) -> list[Claimed]:
        found = self._messages.claim_parked(self.worker_id, self._order.open, self._names, limit)
        self._parked = len(found) == limit
        self._parked_from = time.monotonic() + PARKED_EVERY
        return found

    def _delivery(self, message: Claimed, now: float) -> Delivery:
        id, uuid, queue, body, claims, crashes, suspect, waited = message
        return Delivery(body.encode(), queue, id, self._token, claims, crashes, suspect, uuid, now, waited)

    def _has_changed(self) -> bool:
        """With the database away it says yes, and `fetch` says why."""
        try:
            with translated(self._alias, BrokerUnavailable, BrokerError):
                return self._watch.changed() and bool(self._order.open) and self._messages.any_ready(self._order.open)
        except BrokerUnavailable:
            return True

    def _settle(self, fences: list[Fence]) -> set[Fence]:
        with transaction.atomic(using=self._alias):
            held = self._messages.held(self.worker_id, fences)
            self._messages.settle(self.worker_id, list(held))
            return held if len(held) == len(fences) else held | self._messages.replaced(self.worker_id, fences)

    def _give_back(self, deliveries: Sequence[Delivery], *, parked: bool) -> None:
        with translated(self._alias, BrokerUnavailable, BrokerError):
            fences = _fences(deliveries)
            retried(self._alias, lambda: self._messages.give_back(self.worker_id, fences, parked=parked))


def _watch(alias: str, dsn: str, queues: Sequence[str]) -> Watch:
    connection = connections[alias]
    if connection.vendor == "postgresql" and _has_psycopg_3():
        return ListenWatch(alias, dsn, queues)
    if connection.vendor == "sqlite":
        with translated(alias, BrokerUnavailable, BrokerError):
            return VersionWatch(alias)
    return Watch()


def _has_psycopg_3() -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return is_psycopg3


def _fences(deliveries: Sequence[Delivery]) -> list[Fence]:
    return [(delivery.handle, delivery.claim) for delivery in deliveries]
