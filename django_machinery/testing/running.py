"""`run_tasks`: what a worker does, in the calling thread and on its database connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.dispatch import receiver
from django.utils import timezone

from django_machinery.handler import servers
from django_machinery.models import Message
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange
from django_machinery.seams.broker import Delivery
from django_machinery.server import Server
from django_machinery.signals import task_sent
from django_machinery.worker.inline import InlineRunner

BATCH = 10
WORKER = "run_tasks"

_queues: set[str] = set()
"""Every queue that something was sent to in this process."""


def run_tasks(
    server: str = "default",
    limit: int | None = None,
    *,
    delayed: bool = False,
    queues: Sequence[str] = (),
    raise_errors: bool = False,
) -> int:
    """Run what is ready on the server with that alias, and what comes of it, until nothing is; returns how many runs.

    Works inside a `TestCase`, whose transaction counts as none: what is sent in it is run in it. Delayed tasks and
    retries are run at once with `delayed`, else left alone. `limit` ends also what would go on for ever. Looked at are
    the queues of the settings, of registered tasks, those that this process has sent to, and `queues`. With
    `raise_errors` the exception of a task that fails for good is raised, after its failure was stored.
    """
    runner = _Runner(servers[server], queues, raise_errors)
    try:
        return runner.run(limit, delayed)
    finally:
        runner.close()


class _Runner:
    def __init__(self, server: Server, queues: Sequence[str], raise_errors: bool) -> None:
        self._server = server
        self._further = queues
        self._raise_errors = raise_errors
        self._token = f"{WORKER}-{uuid4()}"
        server.broker.renew([self._token])
        self._subscribe()

    def run(self, limit: int | None, delayed: bool) -> int:
        runs = 0
        while limit is None or runs < limit:
            self._make_ready(delayed)
            if self._queues != self._all_queues():
                self._inline.close()
                self._subscribe()
            deliveries = self._consumer.fetch(BATCH if limit is None else min(BATCH, limit - runs))
            if not deliveries:
                break
            runs += sum(map(self._run, deliveries))
        return runs

    def close(self) -> None:
        self._inline.close()
        self._server.broker.resign(self._token)

    def _subscribe(self) -> None:
        server = self._server
        self._queues = self._all_queues()
        self._consumer = server.broker.consumer(self._queues, server.registry.names, self._token)
        self._inline = InlineRunner(server, self._consumer, WORKER)

    def _all_queues(self) -> list[str]:
        config = self._server.config
        declared = {definition.queue for definition in self._server.registry.definitions}
        first = [config.default_queue, *config.queues, *self._further]
        return list(dict.fromkeys([*first, *sorted(filter(None, declared | _queues))]))

    def _make_ready(self, delayed: bool) -> None:
        """Publish what an open `TestCase` transaction, or a broker that cannot delay, leaves in the outbox."""
        server = self._server
        rows = Message.objects.using(server.config.database).filter(status=Message.Status.OUTBOX, relay_to=server.alias)
        for row in rows.order_by("id"):
            signature = server.decode(row.body.encode())
            if delayed or signature.eta is None or signature.eta <= timezone.now():
                self._publish(signature)
                rows.filter(pk=row.pk, claims=row.claims).delete()
        if delayed and server.broker.supports_delay and server.broker.supports_listing:
            for waiting in server.broker.delayed():
                self._publish(server.decode(waiting.body))
        server.broker.promote()

    def _publish(self, waiting: Signature) -> None:
        signature = waiting.replace(eta=None)
        change = StateChange(signature, PENDING, if_absent=True)
        self._server.broker.send(self._server.backend, [change], [signature])

    def _run(self, delivery: Delivery) -> int:
        """Returns 1, or 0 for a message that was not for this process."""
        outcome = self._inline.run(delivery)
        if outcome is None:
            return 0
        if self._raise_errors and outcome.exception is not None and outcome.retry is None:
            raise outcome.exception
        return 1


@receiver(task_sent)
def _note_queue(signature: Signature, **_: Any) -> None:
    _queues.add(signature.queue)
