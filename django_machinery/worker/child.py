"""A child process: works under the lease that its supervisor keeps, and tells it that it is alive."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery import signals
from django_machinery.exceptions import StoreError
from django_machinery.worker.crew import Crew
from django_machinery.worker.figures import Figures, resident_memory
from django_machinery.worker.pipes import FINISH, LOST, QUIT, ExitStatus, Report, ReportWriter
from django_machinery.worker.rounds import Job, Rounds
from django_machinery.worker.stores import Aborted, Stores
from django_machinery.worker.terms import Terms

if TYPE_CHECKING:
    from django_machinery.server import Server

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
BEAT = 1.0
"""Seconds between two reports at the most."""


@dataclass(frozen=True, slots=True)
class Lifeline:
    """The pipes that a supervisor gives to a child, as file descriptors."""

    orders: int
    reports: int


class Child:
    """The main thread works, a second one listens to orders and signals.

    The first SIGTERM or SIGINT lets it finish, the second lets it quit.
    """

    def __init__(self, server: Server, terms: Terms, lifeline: Lifeline) -> None:
        self._server = server
        self._terms = replace(terms, beat=self._beat, limited=self._report, enforces_hard_timeouts=True)
        self._lifeline = lifeline
        self._reports = ReportWriter(lifeline.reports)
        self._stores = Stores(server.config)
        self._crew: Crew | None = None
        self._period = min(BEAT, server.config.lease * 0.15)
        self._beaten = 0.0
        self._stopping = False
        self._signalled = False
        self._orphaned = False
        self._lost = False

    def run(self, *, drain: bool, shutdown_timeout: float) -> ExitStatus:
        """Work until told otherwise. With another status than DONE tasks may still run: end the process at once."""
        self._listen()
        try:
            self._crew = crew = self._stores.call(lambda: Crew(self._server, self._terms))
        except Aborted:
            return ExitStatus.LEASE_LOST if self._lost else ExitStatus.DONE
        crew.announcer.worker(signals.worker_started)
        if self._stopping:
            crew.stop()
        try:
            crew.run(drain=drain)
        finally:
            crew.announcer.worker(signals.worker_stopping)
            finished = crew.finish(0.0 if self._lost else shutdown_timeout)
            crew.announcer.worker(signals.worker_stopped)
            self._say_goodbye()
        return self._status(crew, finished=finished)

    def _say_goodbye(self) -> None:
        if self._orphaned:
            with suppress(StoreError):
                self._server.broker.resign(self._terms.token)
        self._reports.write(Report(self._figures(), gone=True))

    def _status(self, crew: Crew, *, finished: bool) -> ExitStatus:
        if self._lost:
            return ExitStatus.LEASE_LOST
        if crew.overrun:
            return ExitStatus.OVERRUN
        if not finished:
            return ExitStatus.CUT_OFF
        return ExitStatus.RECYCLED if crew.has_enough else ExitStatus.DONE

    def _beat(self) -> None:
        now = monotonic()
        if now - self._beaten >= self._period:
            self._beaten = now
            self._report()

    def _report(self) -> None:
        crew = self._crew
        self._reports.write(Report(self._figures(), ends_by=crew.ends_by if crew is not None else None))

    def _figures(self) -> Figures:
        crew = self._crew
        busy, done, failed = (crew.busy, crew.done, crew.failed) if crew is not None else (0, 0, 0)
        return Figures(self._terms.token, busy, done, failed, resident_memory())

    def _listen(self) -> None:
        """Signals arrive as bytes in a pipe, so that a thread that may take locks can act on them."""
        received, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: None)
        Thread(target=self._obey, args=(received,), name="machinery-orders", daemon=True).start()

    def _obey(self, received: int) -> None:
        orders = self._lifeline.orders
        sources = [received, orders]
        while sources:
            ready, _, _ = select.select(sources, [], [])
            if received in ready:
                for number in os.read(received, 64):
                    if number in STOP_SIGNALS:
                        self._finish_or_quit()
            if orders in ready:
                order = os.read(orders, 1)
                self._follow(order)
                if not order:
                    sources.remove(orders)

    def _finish_or_quit(self) -> None:
        if self._signalled:
            self._quit()
        self._signalled = True
        self._finish()

    def _follow(self, order: bytes) -> None:
        if order == LOST:
            self._lost = True
            self._quit()
        elif order == QUIT:
            self._quit()
        else:
            if order != FINISH:
                self._keep_own_lease()
            self._finish()

    def _finish(self) -> None:
        self._stopping = True
        if self._crew is not None:
            self._crew.stop()
        else:
            self._stores.abort()

    def _quit(self) -> None:
        self._finish()
        if self._crew is not None:
            self._crew.abort()

    def _keep_own_lease(self) -> None:
        """The supervisor is gone, and with it who renewed: until this process has finished, it does so itself."""
        self._orphaned = True
        lease = self._server.config.lease
        renewing = Rounds("own-lease", self._stores, [Job(lease * 0.3, self._renew)])
        renewing.start()

    def _renew(self) -> None:
        if self._terms.token not in self._server.broker.renew([self._terms.token]):
            self._lost = True
            self._quit()
