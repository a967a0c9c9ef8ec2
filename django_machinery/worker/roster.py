"""The leases and table rows of a supervisor's children. Everything here asks a store, so it may have to wait."""

from __future__ import annotations

import os
import socket
import uuid
from typing import TYPE_CHECKING

from django_machinery import control
from django_machinery.models import WorkerProcess

if TYPE_CHECKING:
    from django_machinery.server import Server


class Roster:
    """Who works for one server under one supervisor."""

    def __init__(self, server: Server, queues: tuple[str, ...], tag: str) -> None:
        self._server = server
        self._queues = queues
        self._tag = tag
        self._supervisor = uuid.uuid4().hex
        self._processes = WorkerProcess.objects.db_manager(server.config.database)

    def enlist(self, token: str) -> None:
        """Take the lease of a child that is about to be started."""
        self._server.broker.renew([token])

    def describe(self, token: str, concurrency: int, pid: int | None = None) -> None:
        """Let operators see a process; `pid` None: this one."""
        self._processes.enlist(
            token,
            server=self._server.alias,
            host=socket.gethostname(),
            pid=os.getpid() if pid is None else pid,
            supervisor=self._supervisor,
            tag=self._tag,
            queues=self._queues,
            names=self._server.get_registered_task_names(),
            concurrency=concurrency,
        )

    def dismiss(self, token: str, *, gone: bool, blameless: bool = False) -> None:
        """A process has ended: in good order when it had given back all that it held (`gone`), else by a crash.

        `blameless`: nothing that it ran was the cause.
        """
        if gone:
            self._server.broker.resign(token)
        else:
            self._server.broker.reclaim(token, blame=not blameless)
        self._processes.retire(token)

    def give_up(self, token: str) -> None:
        """A process hangs: others may have what it holds, none of which is to blame."""
        self._server.broker.reclaim(token, blame=False)

    def suspects(self) -> int:
        """Messages that wait to be run alone in a process, on queues that are not paused."""
        broker = self._server.broker
        if not broker.supports_isolation or not broker.suspects(self._queues):
            return 0
        paused = control.paused(self._server)
        return broker.suspects([queue for queue in self._queues if queue not in paused])
