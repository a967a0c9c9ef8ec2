"""`Worker`: runs tasks in the calling process (Go: worker.go), for scripts and tests."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from django_machinery import signals
from django_machinery.exceptions import StoreError
from django_machinery.worker.crew import Crew
from django_machinery.worker.fetcher import Suspects
from django_machinery.worker.figures import Figures, resident_memory
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.maintenance import Maintenance
from django_machinery.worker.stores import Aborted, Stores
from django_machinery.worker.terms import Terms, queues_of, threads_of

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature
    from django_machinery.server import Server

GOODBYE = 2.0
"""Seconds for leaving the stores in order."""


class Worker:
    """Runs the tasks of one server's queues in threads of this process. It is used once.

    It installs no signal handlers. Hard timeouts, which end a process, are not enforced: use `manage.py runworker`.
    """

    def __init__(
        self,
        server: Server,
        tag: str = "",
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
        *,
        schedules: bool = True,
    ) -> None:
        """`concurrency` threads; None: as configured; 0: as many as there are tasks, up to MAX_THREADS.

        `schedules`: it sends periodic tasks too, unless it drains.
        """
        if isinstance(server, str):
            raise TypeError(f"a Worker takes a server: servers[{server!r}]")
        self.server = server
        self.tag = tag
        self.concurrency = threads_of(server.config, concurrency)
        self.queues = queues_of(server.config, queues)
        self._schedules = schedules
        self._hooks = Hooks()
        self._stores = Stores(server.config)
        self._stopped = Event()
        self._token = ""
        self._lost = False
        self._crew: Crew | None = None

    def set_error_handler(self, handler: Callable[[BaseException], Any]) -> None:
        """Call `handler(exception)` when a task has failed for good, and when the worker itself met an error."""
        self._hooks.error = handler

    def set_pre_task_handler(self, handler: Callable[[Signature], Any]) -> None:
        """Call `handler(signature)` before each task, in its thread."""
        self._hooks.pre_task = handler

    def set_post_task_handler(self, handler: Callable[[Signature], Any]) -> None:
        """Call `handler(signature)` after each task, in its thread."""
        self._hooks.post_task = handler

    def set_pre_consume_handler(self, handler: Callable[[Worker], bool]) -> None:
        """Ask `handler(worker)` before messages are claimed: none are while it returns False."""
        self._hooks.pre_consume = lambda: handler(self)

    def run(self, *, drain: bool = False) -> None:
        """Run tasks until `stop`; with `drain` until nothing is ready. Running tasks end before it returns.

        What has not ended within SHUTDOWN_TIMEOUT goes back to its queue.
        """
        maintenance = Maintenance(
            self.server,
            self._stores,
            tokens=self._tokens,
            lost=self._lose,
            figures=self._figures,
            look=self._look() if self._schedules and not drain else None,
        )
        maintenance.start()
        try:
            while self._serve(maintenance, drain=drain):
                pass
        except Aborted:
            pass
        finally:
            maintenance.stop(GOODBYE)

    def stop(self) -> None:
        """Claim nothing more and let `run` return when the running tasks have ended. From any thread."""
        self._stopped.set()
        self._stores.abort()
        if self._crew is not None:
            self._crew.stop()

    def _serve(self, maintenance: Maintenance, *, drain: bool) -> bool:
        """Work under one token; whether another is needed, because this one was lost."""
        with self._enlisted(maintenance):
            self._crew = crew = self._stores.call(lambda: Crew(self.server, self._terms()))
            crew.announcer.worker(signals.worker_started)
            if self._stopped.is_set() or self._lost:
                crew.stop()
            try:
                crew.run(drain=drain)
            finally:
                crew.announcer.worker(signals.worker_stopping)
                crew.finish(0.0 if self._lost else self.server.config.shutdown_timeout)
                crew.announcer.worker(signals.worker_stopped)
        return self._lost and not self._stopped.is_set()

    @contextmanager
    def _enlisted(self, maintenance: Maintenance) -> Iterator[None]:
        from django_machinery.models import WorkerProcess

        processes = WorkerProcess.objects.db_manager(self.server.config.database)
        self._token, self._lost = uuid.uuid4().hex, False
        self._stores.call(maintenance.renew)
        try:
            self._stores.call(lambda: processes.enlist(self._token, **self._description()))
            yield
        finally:
            token, self._token = self._token, ""
            with suppress(StoreError, DatabaseError):
                self.server.broker.resign(token)
                processes.retire(token)

    def _description(self) -> dict[str, Any]:
        return {
            "server": self.server.alias,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "supervisor": "",
            "tag": self.tag,
            "queues": self.queues,
            "names": self.server.get_registered_task_names(),
            "concurrency": self.concurrency,
        }

    def _terms(self) -> Terms:
        return Terms(
            self._token,
            self.queues,
            self.concurrency,
            self.tag,
            suspects=Suspects.WHEN_QUIET,
            hooks=self._hooks,
        )

    def _look(self) -> Callable[[], float]:
        from django_machinery.scheduler.scheduler import Scheduler  # not before the apps are loaded

        return Scheduler(self.server).look

    def _tokens(self) -> list[str]:
        return [self._token] if self._token else []

    def _lose(self, token: str) -> None:
        if token == self._token:
            self._lost = True
            if self._crew is not None:
                self._crew.announcer.lease_lost(token)
                self._crew.abort()

    def _figures(self) -> Iterable[Figures]:
        crew, token = self._crew, self._token
        if crew is not None and token:
            yield Figures(token, crew.busy, crew.done, crew.failed, resident_memory())
