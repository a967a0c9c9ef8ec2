"""Claiming ticks and sending what is due at them, in one transaction."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import DatabaseError, IntegrityError, transaction
from django.dispatch import Signal

from django_machinery import signals
from django_machinery.exceptions import BackendUnavailable, BrokerUnavailable
from django_machinery.models.clock import StoreTime
from django_machinery.models.schedule import UNREADABLE, Schedule, ScheduleManager
from django_machinery.models.tick import Tick
from django_machinery.scheduler.manual import record
from django_machinery.scheduler.policy import due_ticks
from django_machinery.scheduler.sending import is_running, send
from django_machinery.scheduler.sharing import Answer, ask
from django_machinery.server import Server

if TYPE_CHECKING:
    from django_machinery.scheduler.policy import Due

TRY_AGAIN = (DatabaseError, BrokerUnavailable, BackendUnavailable)
"""What has to do with the stores and not with the schedule."""


class Firing:
    """Fires schedules of one server that are due."""

    def __init__(self, server: Server, schedules: ScheduleManager) -> None:
        self._server = server
        self._database = server.config.database
        self._schedules = schedules
        self._ticks = Tick.objects.db_manager(self._database)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    def fire(self, due: list[Schedule], now: datetime) -> bool:
        """Deal with what these schedules were due at; returns whether anything was done.

        Locks of others are asked before the transaction, which is to be short. Where another worker turns out to be
        at the same schedules, the rest is left to it. Raises what stores that are away raise: nothing was done then.
        """
        plans = list(self._plans(sorted(due, key=lambda each: each.pk), now))
        done = len(plans) < len(due)
        with transaction.atomic(using=self._database):
            for schedule, plan, answer in plans:
                if answer is Answer.LATER:
                    continue
                if not self._advance(schedule, plan):
                    break
                self._fire(schedule, plan.ticks, answer)
                done = True
        return done

    def _plans(self, due: list[Schedule], now: datetime) -> Iterator[tuple[Schedule, Due, Answer]]:
        for schedule in due:
            try:
                yield schedule, *self._plan(schedule, now)
            except UNREADABLE as error:
                self._schedules.filter(pk=schedule.pk).update(next_at=None)
                self._tell(signals.schedule_failed, schedule, error=str(error))

    def _plan(self, schedule: Schedule, now: datetime) -> tuple[Due, Answer]:
        """Of ticks whose successor is due as well no lock can tell whether another program sent them, so where it is
        shared they are sent only if the schedule asks for all that were missed."""
        plan = due_ticks(schedule, now)
        if not plan.ticks or not self._server.lock.supports_sharing:
            return plan, Answer.OURS
        if schedule.missed != Schedule.Missed.ALL:
            plan = plan._replace(ticks=plan.ticks[-1:])
        return plan, ask(self._server, schedule, plan.ticks[-1])

    def _advance(self, schedule: Schedule, plan: Due) -> bool:
        """Take the schedule's ticks up to now off everybody's list; false if somebody else has, or changed it."""
        same = self._schedules.filter(
            pk=schedule.pk, enabled=True, next_at=schedule.next_at, planned_for=schedule.planned_for
        )
        return bool(same.update(next_at=schedule.next_after(plan.until)))

    def _fire(self, schedule: Schedule, ticks: list[datetime], answer: Answer) -> None:
        last = schedule.last_uuid
        for tick in ticks:
            if answer is Answer.ELSEWHERE:
                self._skip(schedule, tick, Tick.Status.ELSEWHERE)
            elif schedule.run_overlap == Schedule.RunOverlap.SKIP and is_running(self._server, schedule):
                self._skip(schedule, tick, Tick.Status.SKIPPED)
            else:
                self._send(schedule, tick)
        if schedule.last_uuid != last:
            schedule.save(using=self._database, update_fields=["last_at", "last_uuid"])

    def _send(self, schedule: Schedule, tick: datetime) -> None:
        try:
            with transaction.atomic(using=self._database):
                sent = send(self._server, schedule)
                self._claim(schedule, tick, Tick.Status.SENT, uuid=sent.last, sent_at=StoreTime())
                record(self._server, schedule, sent)
        except IntegrityError:
            return  # the clock or the plan went back: this tick was dealt with before
        except TRY_AGAIN:
            raise
        except Exception as error:
            self._skip(schedule, tick, Tick.Status.FAILED)
            self._tell(signals.schedule_failed, schedule, error=f"{type(error).__name__}: {error}")
            return
        schedule.last_at, schedule.last_uuid = tick, sent.last
        self._tell(signals.tick_sent, schedule, tick_at=tick, uuid=sent.last)

    def _skip(self, schedule: Schedule, tick: datetime, status: Tick.Status) -> None:
        try:
            with transaction.atomic(using=self._database):
                self._claim(schedule, tick, status)
        except IntegrityError:
            return
        if status is not Tick.Status.FAILED:
            self._tell(signals.tick_skipped, schedule, tick_at=tick, reason=str(status.value))

    def _claim(self, schedule: Schedule, tick: datetime, status: Tick.Status, **columns: object) -> None:
        self._ticks.create(schedule_key=schedule.key, tick_at=tick, status=status, worker=self._worker, **columns)

    def _tell(self, signal: Signal, schedule: Schedule, **facts: object) -> None:
        transaction.on_commit(
            lambda: signal.send_robust(Server, server=self._server.alias, schedule=schedule.name, **facts),
            using=self._database,
        )
