"""Claiming ticks and sending what is due at them, in one transaction."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from django.db import DatabaseError, IntegrityError, transaction
from django.dispatch import Signal

from django_machinery import signals
from django_machinery.exceptions import BackendUnavailable, BrokerUnavailable
from django_machinery.models.schedule import UNREADABLE, Schedule, ScheduleManager
from django_machinery.models.task_state import TaskState
from django_machinery.models.tick import Tick
from django_machinery.scheduler.policy import MOST, due_ticks
from django_machinery.scheduler.sending import is_running, send
from django_machinery.scheduler.sharing import Answer, ask
from django_machinery.server import Server

if TYPE_CHECKING:
    from django_machinery.scheduler.policy import Due

TRY_AGAIN = (DatabaseError, BrokerUnavailable, BackendUnavailable)
"""What has to do with the stores and not with a schedule."""


class Fired(Enum):
    """What became of a look at schedules that are due."""

    MINE = "mine"
    """Some of them were left to deal with, and were dealt with."""
    LATER = "later"
    """None, but the lock has to be asked again in a moment for some."""
    NONE = "none"
    """Another worker of ours was faster at all of them."""


class Plan(NamedTuple):
    """What is to be done about a schedule that is due."""

    schedule: Schedule
    due: Due
    answer: Answer
    undecided: Sequence[datetime] = ()
    """Ticks that are not sent: see `Firing._plan`."""


class Done(NamedTuple):
    """What was done about one tick."""

    tick: Tick
    schedule: Schedule
    uuids: Sequence[str] = ()
    error: str = ""


class Firing:
    """Fires schedules of one server that are due."""

    def __init__(self, server: Server, schedules: ScheduleManager) -> None:
        self._server = server
        self._database = server.config.database
        self._schedules = schedules
        self._ticks = Tick.objects.db_manager(self._database)
        self._states = TaskState.objects.db_manager(self._database)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    def fire(self, due: Sequence[Schedule], now: datetime) -> Fired:
        """Deal with what these schedules were due at, at most `MOST` ticks, or one of each.

        Locks that are shared with other programs are asked before the transaction, which is to be short. Raises what
        stores that are away raise: nothing was done then.
        """
        plans = list(self._plans(due, now))
        try:
            return self._fire(plans, careful=False)
        except IntegrityError:
            return self._fire(plans, careful=True)
        except TRY_AGAIN:
            raise
        except Exception:
            return self._fire(plans, careful=True)

    def _plans(self, due: Sequence[Schedule], now: datetime) -> Iterator[Plan]:
        for schedule in due:
            try:
                yield self._plan(schedule, now, max(1, MOST // len(due)))
            except UNREADABLE as error:
                self._schedules.filter(pk=schedule.pk).update(next_at=None)
                self._tell(signals.schedule_failed, schedule, error=str(error))

    def _plan(self, schedule: Schedule, now: datetime, most: int) -> Plan:
        """Of ticks whose successor is due as well no lock can tell whether another program sent them, so where it is
        shared they are sent only if the schedule asks for all that were missed."""
        shared = self._server.lock.supports_sharing
        if not shared or schedule.missed == Schedule.Missed.ALL:
            due = due_ticks(schedule, now, most)
            answer = ask(self._server, schedule, due.ticks[-1]) if shared and due.ticks else Answer.OURS
            return Plan(schedule, due, answer)
        due = due_ticks(schedule, now)
        if not due.ticks:
            return Plan(schedule, due, Answer.OURS)
        *undecided, last = due.ticks
        return Plan(schedule, due._replace(ticks=[last]), ask(self._server, schedule, last), undecided)

    def _fire(self, plans: Sequence[Plan], *, careful: bool) -> Fired:
        """One transaction. `careful`: a savepoint a tick, so that one that cannot be sent, or was before, is found."""
        later = [plan for plan in plans if plan.answer is Answer.LATER]
        with transaction.atomic(using=self._database):
            mine = self._lock([plan for plan in plans if plan.answer is not Answer.LATER])
            done = [each for plan in mine for each in self._deal_all(plan, careful=careful)]
            if not careful:
                self._write(done)
            self._record([plan.schedule for plan in mine], done)
        for each in done:
            self._announce(each)
        return Fired.MINE if mine else Fired.LATER if later else Fired.NONE

    def _deal_all(self, plan: Plan, *, careful: bool) -> Sequence[Done]:
        """What was done about the ticks of one schedule, the last of which that was sent is its last run."""
        done: list[Done] = []
        for tick in (*plan.undecided, *plan.due.ticks):
            has_sent = any(each.uuids for each in done)
            done += self._deal_carefully(plan, tick, has_sent) if careful else [self._deal(plan, tick, has_sent)]
        for each in done:
            if each.tick.uuid:
                plan.schedule.last_at, plan.schedule.last_uuid = each.tick.tick_at, each.tick.uuid
        plan.schedule.next_at = plan.schedule.next_due(plan.due.until)
        return done

    def _lock(self, plans: Sequence[Plan]) -> list[Plan]:
        """The plans of schedules that nobody else is at, and nobody has changed, since they were made."""
        rows = self._schedules.lock([plan.schedule.pk for plan in plans])
        found = [(rows.get(plan.schedule.pk), plan) for plan in plans]
        return [plan._replace(schedule=row) for row, plan in found if row is not None and row.is_as(plan.schedule)]

    def _deal_carefully(self, plan: Plan, tick: datetime, has_sent: bool) -> list[Done]:
        try:
            with transaction.atomic(using=self._database):
                done = self._deal(plan, tick, has_sent)
                self._write([done])
            return [done]
        except IntegrityError:
            return []  # the clock or the plan went back: this tick was dealt with before
        except TRY_AGAIN:
            raise
        except Exception as error:
            row = self._tick(plan.schedule, tick, Tick.Status.FAILED)
            self._ticks.bulk_create([row], ignore_conflicts=True)
            return [Done(row, plan.schedule, error=f"{type(error).__name__}: {error}")]

    def _deal(self, plan: Plan, tick: datetime, has_sent: bool) -> Done:
        """`has_sent`: a tick of the schedule was sent in this transaction, which a result backend elsewhere learns only
        from its commit."""
        schedule = plan.schedule
        if tick in plan.undecided:
            return Done(self._tick(schedule, tick, Tick.Status.UNDECIDED), schedule)
        if plan.answer is Answer.ELSEWHERE:
            return Done(self._tick(schedule, tick, Tick.Status.ELSEWHERE), schedule)
        if schedule.run_overlap == Schedule.RunOverlap.SKIP and (has_sent or is_running(self._server, schedule)):
            return Done(self._tick(schedule, tick, Tick.Status.SKIPPED), schedule)
        sent = send(self._server, schedule)
        return Done(self._tick(schedule, tick, Tick.Status.SENT, uuid=sent.last), schedule, sent.uuids)

    def _write(self, done: Sequence[Done]) -> None:
        """Insert the rows of ticks. Raises IntegrityError where one was dealt with before."""
        now = self._schedules.now() if any(each.uuids for each in done) else None
        for each in done:
            each.tick.sent_at = now if each.uuids else None
        self._ticks.bulk_create([each.tick for each in done])

    def _tick(self, schedule: Schedule, tick: datetime, status: Tick.Status, **columns: object) -> Tick:
        return Tick(schedule_key=schedule.key, tick_at=tick, status=status, worker=self._worker, **columns)

    def _record(self, schedules: Sequence[Schedule], done: Sequence[Done]) -> None:
        if schedules:
            self._schedules.bulk_update(schedules, ["next_at", "last_at", "last_uuid"])
        if self._server.backend.supports_transactions:
            self._states.belong([(each.schedule.pk, uuid) for each in done for uuid in each.uuids])

    def _announce(self, done: Done) -> None:
        tick = done.tick
        if done.error:
            self._tell(signals.schedule_failed, done.schedule, error=done.error)
        elif tick.status == Tick.Status.SENT:
            self._tell(signals.tick_sent, done.schedule, tick_at=tick.tick_at, uuid=tick.uuid)
        else:
            self._tell(signals.tick_skipped, done.schedule, tick_at=tick.tick_at, reason=str(tick.status))

    def _tell(self, signal: Signal, schedule: Schedule, **facts: object) -> None:
        signal.send_robust(Server, server=self._server.alias, schedule=schedule.name, **facts)
