"""The crew: the fetch loop, the threads, the committer and the watchdog that work under one lease."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.exceptions import StoreError
from django_machinery.seams.broker import Lease
from django_machinery.worker import outcomes
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.attempts import Attempts
from django_machinery.worker.committer import Committer
from django_machinery.worker.controls import Controls
from django_machinery.worker.executor import Executor
from django_machinery.worker.fetcher import Fetcher
from django_machinery.worker.leases import MessageLeases
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import Ending, Released, TaskOutcome
from django_machinery.worker.pool import Pool, Slot
from django_machinery.worker.reporter import Reporter
from django_machinery.worker.stores import UNAVAILABLE, Aborted, Stores
from django_machinery.worker.tally import Tally
from django_machinery.worker.terms import Terms, worker_name
from django_machinery.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from django_machinery.models.control import Wish
    from django_machinery.seams.broker import Delivery
    from django_machinery.seams.unit import Unit
    from django_machinery.server import Server
    from django_machinery.worker.run import Run

FLUSH = 2.0
"""Seconds that outcomes are given to be committed when a crew ends before its tasks do."""

logger = logging.getLogger("django_machinery.workers")


class Crew:
    """Works in the calling thread by `run`, then `finish`, which is to be called once."""

    def __init__(self, server: Server, terms: Terms) -> None:
        """Subscribes to the queues: the token must be held by now. Raises `BrokerUnavailable`."""
        self.name = worker_name(terms.tag)
        self.announcer = Announcer(server, self.name)
        self.overrun = False
        """Has a task to be ended with its process: by its hard timeout, or because somebody wants it so?"""
        self.finished = False
        """Was `finish` called?"""
        self._terms = terms
        self._stores = Stores(server.config)
        self._aborted = Event()
        self._loop = EventLoop()
        self._consumer = server.broker.consumer(terms.queues, server.registry.names, terms.token)
        unit = server.unit(self._consumer)
        self._leases = MessageLeases(self._consumer, server.config.lease) if _leases_messages(server) else None
        self._controls = Controls(server)
        self._executor = Executor(
            server, unit, self.name, terms.hooks, self.announcer, self._loop, self._controls, terms.limited
        )
        self._tally, self._attempts = Tally(server, terms.token), Attempts(server)
        self._committer = self._new_committer(server, unit)
        self._pool = Pool(
            terms.concurrency or server.config.max_threads,
            self._work,
            self._thread_is_free,
            self._thread_starter(server),
        )
        self._fetcher = self._new_fetcher(server)
        self._watchdog = Watchdog(
            self._pool.slots, self._committer.note, self.name, self._end_overrun if self._may_end else None
        )
        self._reporter = self._new_reporter(server)

    @property
    def busy(self) -> int:
        """Tasks that run now."""
        return self._pool.busy

    @property
    def done(self) -> int:
        """Deliveries that have ended."""
        return self._committer.ended

    @property
    def failed(self) -> int:
        """Tasks that have failed for good."""
        return self._committer.failed

    @property
    def ends_by(self) -> float | None:
        """See `Pool.ends_by`."""
        return self._pool.ends_by

    @property
    def has_enough(self) -> bool:
        """Were `max_tasks` started?"""
        return self._fetcher.has_enough

    def run(self, *, drain: bool = False) -> None:
        """Work until `stop`, `abort`, the last of `max_tasks` or, with `drain`, until nothing is left."""
        self._committer.start()
        self._watchdog.start()
        self._reporter.start()
        if self._leases is not None:
            self._leases.start()
        self._wait_for_orders()
        with suppress(Aborted):
            self._fetcher.run(drain=drain)

    def stop(self) -> None:
        """Claim nothing more: `run` returns soon. From any thread, any number of times."""
        self._fetcher.stop()

    def abort(self) -> None:
        """Wait for nothing any more, neither tasks nor stores: `run` and `finish` return soon. From any thread."""
        self._aborted.set()
        self._stores.abort()
        self._fetcher.stop()

    def finish(self, timeout: float) -> bool:
        """Let running tasks end within `timeout` seconds, commit, and give back the rest, uncounted.

        Returns whether nothing was cut off. Threads that are cut off go on; what they do no longer counts.
        """
        self.finished = True
        with suppress(Aborted, StoreError):  # then the consumer gives it back when it closes
            self._fetcher.give_back_all()
        self._pool.stop()
        deadline = monotonic() + (0.0 if self.overrun else timeout)
        finished = self._wait_for_threads(deadline)
        self._committer.stop()
        committed = self._wait_for_commits(max(deadline, monotonic() + (0.0 if self._aborted.is_set() else FLUSH)))
        self._reporter.stop(FLUSH)  # its last round writes down what was committed
        self._stores.abort()
        self._watchdog.stop()
        if self._leases is not None:
            self._leases.stop()
        self._loop.close()
        with suppress(StoreError):
            self._consumer.close()
        return finished and committed

    def _new_committer(self, server: Server, unit: Unit) -> Committer:
        return Committer(
            server,
            self._consumer,
            unit,
            self._stores,
            self.announcer,
            self._terms.hooks,
            self.name,
            self._thread_is_free,
            self._record,
        )

    def _new_fetcher(self, server: Server) -> Fetcher:
        return Fetcher(
            server.broker,
            self._consumer,
            self._pool,
            self._committer,
            self._stores,
            self._terms.hooks,
            self._controls,
            self._leases,
            suspects=self._terms.suspects,
            max_tasks=self._terms.max_tasks,
            beat=self._terms.beat,
        )

    def _new_reporter(self, server: Server) -> Reporter:
        return Reporter(
            server,
            self._consumer,
            self._pool.slots,
            self._controls,
            self._tally,
            self._attempts,
            pauses_changed=self._fetcher.look_again,
            end=self._end_cancelled if self._may_end else None,
        )

    @property
    def _may_end(self) -> bool:
        """May this process end for the sake of one task?"""
        return self._terms.enforces_hard_timeouts

    def _wait_for_orders(self) -> None:
        """A queue may be paused: nothing is fetched before the database has said which."""
        while not self._reporter.informed.wait(0.1) and not self._fetcher.stopped:
            self._terms.beat()

    def _thread_starter(self, server: Server) -> Callable[[Callable[[], None], str], Thread]:
        has_async = any(definition.is_async for definition in server.registry.definitions)
        return self._loop.start_thread if has_async else _start_thread

    def _work(self, delivery: Delivery, slot: Slot) -> None:
        try:
            ending = self._executor.execute(delivery, slot.occupy)
        except UNAVAILABLE:
            ending = self._work_later(delivery, slot)
        except BaseException as error:
            logger.exception("A message could not be worked on")
            ending = outcomes.unworkable(delivery, error, self.name)
        self._committer.put(ending)

    def _work_later(self, delivery: Delivery, slot: Slot) -> Ending:
        try:
            return self._stores.call(lambda: self._executor.execute(delivery, slot.occupy))
        except Aborted:
            return Released(delivery)

    def _thread_is_free(self) -> None:
        self._fetcher.thread_is_free()

    def _record(self, outcome: TaskOutcome) -> None:
        self._tally.ended(outcome)
        self._attempts.ended(outcome)
        if outcome.progress is not None:
            self._reporter.ended(outcome)

    def _end_overrun(self, run: Run) -> None:
        self._end_with(lambda: self._executor.timed_out(run))

    def _end_cancelled(self, run: Run, wish: Wish) -> None:
        self._end_with(lambda: self._executor.cancelled(run, wish))

    def _end_with(self, outcome: Callable[[], Ending]) -> None:
        """End a run that is not to go on, and with it the crew; its neighbours go back."""
        if not self.overrun:
            self.overrun = True
            self._committer.put(outcome())
            self._fetcher.stop()

    def _wait_for_threads(self, deadline: float) -> bool:
        while not self._pool.join(0.05):
            if self._aborted.is_set() or self.overrun or monotonic() > deadline:
                return self._pool.join(0.0)
            self._terms.beat()
        return True

    def _wait_for_commits(self, deadline: float) -> bool:
        while not self._committer.join(0.05):
            if monotonic() > deadline:
                return False
            self._terms.beat()
        return True


def _leases_messages(server: Server) -> bool:
    return server.broker.lease is Lease.MESSAGE


def _start_thread(target: Callable[[], None], name: str) -> Thread:
    thread = Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
