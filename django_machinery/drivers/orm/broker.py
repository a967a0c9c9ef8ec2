"""The broker on a Django database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from django.db import connections, transaction
from django.db.models import QuerySet

from django_machinery.conf import parse_url
from django_machinery.drivers.orm.checks import check_database
from django_machinery.drivers.orm.consumer import OrmConsumer
from django_machinery.drivers.orm.notify import Notifier
from django_machinery.drivers.orm.rows import body_of, new_message, new_task
from django_machinery.drivers.orm.states import StateWriter
from django_machinery.drivers.orm.store import retried, translated
from django_machinery.drivers.orm.unit import OrmUnit
from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.models import Message, WorkerProcess
from django_machinery.models.clock import aware
from django_machinery.models.sql import dialect_for
from django_machinery.protocol.states import PENDING
from django_machinery.seams.broker import Backlog, Broker, Consumer, Lease, Waiting
from django_machinery.seams.consumer import QueueOrder

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.models.sql.rows import NewMessage, NewTask
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend, StateChange
    from django_machinery.seams.unit import Bury, Publish, Unit

PROMOTED_AT_ONCE = 1000


class OrmBroker(Broker):
    """Messages are rows: `orm://alias`. What is sent in a transaction of that alias is part of it."""

    lease: ClassVar = Lease.WORKER
    supports_priority: ClassVar = True
    supports_delay: ClassVar = True
    supports_listing: ClassVar = True
    supports_isolation: ClassVar = True
    supports_lookup: ClassVar = True
    supports_transactions: ClassVar = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._alias = parse_url(url)[1]
        self.store = ("orm", self._alias)
        self._messages = Message.objects.db_manager(self._alias)
        self._workers = WorkerProcess.objects.db_manager(self._alias)
        self._writer = StateWriter(self._alias, config.alias, config.limits)
        self._notifier = Notifier(self._alias)

    def publish(self, signatures: Sequence[Signature]) -> None:
        rows = self._rows(signatures, {})
        if rows:
            with self._errors():
                retried(self._alias, partial(self._messages.put, rows))
                self._notify(rows)

    def send(self, backend: ResultBackend, changes: Sequence[StateChange], signatures: Sequence[Signature]) -> None:
        if backend.store != self.store or any(change.state != PENDING for change in changes):
            super().send(backend, changes, signatures)
            return
        bodies: dict[int, str] = {}
        rows = self._rows(signatures, bodies)
        latest = {change.uuid: change for change in changes}
        with self._errors():
            retried(self._alias, lambda: self._send(list(latest.values()), rows, bodies))
            self._notify(rows)

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> Consumer:
        with self._errors():
            worker_id = self._workers.id_of(token)
        if worker_id is None:
            raise BrokerError(f"the process {token!r} is not enlisted: renew its lease first")
        dsn = self.config.notify_dsn
        order = QueueOrder(queues, self.config.queue_weights)
        return OrmConsumer(self._alias, order, names, token, worker_id, self._notifier, dsn)

    def unit(self, consumer: Consumer, backend: ResultBackend, publish: Publish, bury: Bury) -> Unit:
        if backend.store == self.store and isinstance(consumer, OrmConsumer):
            return OrmUnit(self._alias, self._writer, consumer, publish, bury)
        return super().unit(consumer, backend, publish, bury)

    def renew(self, tokens: Collection[str]) -> set[str]:
        if not tokens:
            return set()
        with self._errors():
            return retried(self._alias, lambda: self._workers.renew(tokens, self.config.lease))

    def reclaim(self, token: str, *, blame: bool = True) -> int:
        with self._errors():
            return retried(self._alias, lambda: self._reclaim(token, blame))

    def resign(self, token: str) -> None:
        with self._errors():
            retried(self._alias, lambda: self._resign(token))

    def sweep(self) -> int:
        with self._errors():
            retried(self._alias, self._workers.lose_expired)
            return retried(self._alias, self._messages.reclaim_strays)

    def next_due(self) -> float | None:
        with self._errors():
            return self._messages.next_due()

    def promote(self) -> int:
        with self._errors():
            queues = retried(self._alias, lambda: self._messages.promote(PROMOTED_AT_ONCE))
            if queues:
                self._notifier.after_commit(queues)
        return len(queues)

    def hasten(self, uuids: Sequence[str]) -> int:
        with self._errors():
            queues = retried(self._alias, lambda: self._messages.hasten(uuids))
            self._notifier.after_commit(queues)
        return len(queues)

    def suspects(self, queues: Sequence[str]) -> int:
        with self._errors():
            return self._messages.suspects(queues).count()

    def pending(self, queue: str, limit: int = 1000) -> list[Waiting]:
        with self._errors():
            return [Waiting(m.body.encode(), m.queue) for m in _listed(self._messages.ready(queue))[:limit]]

    def delayed(self, limit: int = 1000) -> list[Waiting]:
        with self._errors():
            return [Waiting(m.body.encode(), m.queue, m.due_at) for m in _listed(self._messages.delayed())[:limit]]

    def depth(self, queue: str) -> int:
        with self._errors():
            return self._messages.ready(queue).count()

    def backlogs(self, queues: Sequence[str]) -> list[Backlog]:
        with self._errors():
            rows = list(self._messages.tally())
        now, ready, delayed = datetime.now(UTC), Counter[str](), Counter[str]()
        oldest: dict[str, float] = {}
        for queue, status, count, first in rows:
            if status == Message.Status.LATER:
                delayed[queue] += count
            else:
                ready[queue] += count
                oldest[queue] = max(oldest.get(queue, 0.0), (now - aware(first)).total_seconds())
        return [Backlog(name, ready[name], delayed[name], oldest.get(name)) for name in {*queues, *ready, *delayed}]

    def purge(self, queue: str) -> int:
        with self._errors():
            return self._messages.ready(queue).delete()[0]

    def check(self) -> list[CheckMessage]:
        return check_database(self._alias)

    def _rows(self, signatures: Sequence[Signature], bodies: dict[int, str]) -> list[NewMessage]:
        """The rows of messages, the last of a UUID; `bodies` takes their texts by the identity of their signatures."""
        now, limits = datetime.now(UTC), self.config.limits
        rows = {}
        for signature in signatures:
            body = bodies[id(signature)] = body_of(signature, limits)
            rows[signature.uuid] = new_message(signature, body, now)
        return list(rows.values())

    def _send(self, changes: Sequence[StateChange], rows: Sequence[NewMessage], bodies: dict[int, str]) -> None:
        """In one statement, where the engine has one, if the states are all new or all `if_absent`, as most are."""
        connection = connections[self._alias]
        kinds = {change.if_absent for change in changes}
        if rows and len(kinds) == 1:
            dialect_for(connection).send(self._tasks(changes, bodies), kinds.pop(), rows)
            return
        with transaction.atomic(using=self._alias, savepoint=False):
            self._writer.write(changes)
            if rows:
                self._messages.put(rows)

    def _tasks(self, changes: Sequence[StateChange], bodies: dict[int, str]) -> list[NewTask]:
        server, limits = self.config.alias, self.config.limits
        return [
            new_task(change, server, bodies.get(id(change.signature)) or body_of(change.signature, limits))
            for change in changes
        ]

    def _reclaim(self, token: str, blame: bool) -> int:
        with transaction.atomic(using=self._alias):
            worker_id = self._workers.id_of(token)
            if worker_id is None:
                return 0
            self._workers.lose(token)
            return self._messages.reclaim(worker_id, blame=blame)

    def _resign(self, token: str) -> None:
        with transaction.atomic(using=self._alias):
            worker_id = self._workers.id_of(token)
            if worker_id is not None:
                self._messages.give_back_all(worker_id)
                self._workers.retire(token)

    def _notify(self, rows: Sequence[NewMessage]) -> None:
        self._notifier.after_commit(row.queue for row in rows if row.status == Message.Status.READY)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with translated(self._alias, BrokerUnavailable, BrokerError):
            yield


def _listed(messages: QuerySet[Message]) -> QuerySet[Message]:
    return messages.only("body", "queue", "due_at")
