"""`Inspector`: a server from outside. It reads; what changes something is in `control`."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Q

from django_machinery import control
from django_machinery.inspector.looks import FailureRow, Latency, Point, QueueLook, SlowTask

if TYPE_CHECKING:
    from django_machinery.inspector.figures import Figures
    from django_machinery.models import Attempt, WorkerProcess
    from django_machinery.protocol.states import TaskState
    from django_machinery.server import Server

SILENT = 15.0
"""Seconds without a heartbeat after which a worker process counts as stale."""
FAILED = ("error", "crash", "timeout")
"""Outcomes of runs that are failures: a cancelled run and one that asked to be run later are none."""
ROWS = 50
"""The most rows of an answer that could be long."""


class Inspector:
    """Answers from few queries. It remembers figures that it has read: make a new one for each page."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database = server.config.database

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state; of very many an `Estimate`. Empty where states are not listed."""
        backend = self._server.backend
        return backend.count_states() if backend.supports_listing else {}

    def queues(self) -> list[QueueLook]:
        """The queues of the settings, of the tasks and of the workers, and those where something waits; by name."""
        paused = control.paused(self._server)
        known = self._known_queues | paused
        backlogs = {backlog.queue: backlog for backlog in self._server.broker.backlogs(sorted(known))}
        kept = self._outbox
        return [
            QueueLook(
                name,
                backlogs[name].ready if name in backlogs else 0,
                (backlogs[name].delayed if name in backlogs else 0) + kept.get(name, 0),
                backlogs[name].oldest if name in backlogs else None,
                name in paused,
            )
            for name in sorted({*backlogs, *kept})
        ]

    def workers(self) -> list[WorkerProcess]:
        """The worker processes of the server, those that live first; each tells by `stale` whether it is silent."""
        return self._workers

    def throughput(self, window: timedelta) -> list[Point]:
        """How many tasks ended, from `window` ago until now: by the minute, by 15 minutes or by 2 hours."""
        return self._figures.throughput(window)

    def latency(self, window: timedelta) -> Latency:
        """How long the tasks that ended in the last `window` waited and ran."""
        return self._figures.latency(window)

    def slow(self, window: timedelta) -> list[SlowTask]:
        """The tasks that took longest in the last `window`, by their 95th percentile."""
        return self._figures.slow(window)[:ROWS]

    def failures(self) -> list[FailureRow]:
        """Which tasks failed by what in the last week, the most in the last hour, day, week first.

        A task counts once, however often its runs failed by that, also if a later one succeeded.
        """
        from django_machinery.models import Attempt
        from django_machinery.models.clock import StoreTime

        hour, day, week = (Q(ended_at__gt=StoreTime(-seconds)) for seconds in (3600.0, 86_400.0, 7 * 86_400.0))
        attempts = Attempt.objects.using(self._database)
        groups = list(
            attempts.filter(week, outcome__in=FAILED)
            .values_list("name", "exception")
            .annotate(
                hour=Count("uuid", filter=hour, distinct=True),
                day=Count("uuid", filter=day, distinct=True),
                week=Count("uuid", distinct=True),
                newest=Max("id"),
            )
            .order_by("-hour", "-day", "-week", "name", "exception")[:ROWS]
        )
        newest = dict(attempts.filter(id__in=[latest for *_, latest in groups]).values_list("id", "uuid"))
        return [
            FailureRow(name, exception, in_hour, in_day, in_week, newest.get(latest, ""))
            for name, exception, in_hour, in_day, in_week, latest in groups
        ]

    def newest_failure(self) -> Attempt | None:
        """The latest run that failed in the last week."""
        from django_machinery.models import Attempt
        from django_machinery.models.clock import StoreTime

        attempts = Attempt.objects.using(self._database).filter(ended_at__gt=StoreTime(-7 * 86_400.0))
        return attempts.filter(outcome__in=FAILED).order_by("-ended_at", "-id").first()

    def state(self, uuid: str) -> TaskState | None:
        """What is known of a task in any store; None: never sent, or expired."""
        return self._server.backend.get_states([uuid])[0]

    def states(self, limit: int, before: datetime | None = None, state: str = "", name: str = "") -> list[TaskState]:
        """The newest tasks: sent before a time, in a state, of a name, if given. None where they are not listed."""
        backend = self._server.backend
        return backend.list_states(limit, before, state, name) if backend.supports_listing else []

    @cached_property
    def _figures(self) -> Figures:
        from django_machinery.inspector.figures import Figures

        return Figures(self._server.alias, self._database)

    @cached_property
    def _workers(self) -> list[WorkerProcess]:
        from django_machinery.models import WorkerProcess

        return WorkerProcess.objects.db_manager(self._database).roll(self._server.alias, SILENT)

    @property
    def _known_queues(self) -> set[str]:
        config, definitions = self._server.config, self._server.registry.definitions
        of_tasks = {task.queue for task in definitions if task.queue and task.server == self._server.alias}
        of_workers = {queue for worker in self._workers if not worker.stale for queue in worker.queues.split("\n")}
        return {config.default_queue, *config.queues, *of_tasks, *of_workers} - {""}

    @property
    def _outbox(self) -> dict[str, int]:
        """Delays that the broker cannot hold, and what has not reached it yet."""
        from django_machinery.models import Message

        if self._server.broker.supports_transactions:
            return {}
        return Message.objects.db_manager(self._database).outbox_queues(self._server.alias)
