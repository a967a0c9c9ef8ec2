"""Outcomes of many deliveries in one transaction, which holds only while every fence does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import connections, transaction

from django_machinery.drivers.orm.chords import Chords
from django_machinery.drivers.orm.rows import step
from django_machinery.drivers.orm.states import NotAllWon, StateWriter
from django_machinery.drivers.orm.store import retried, translated
from django_machinery.exceptions import BackendError, BackendRefused, BackendUnavailable
from django_machinery.models import Message, TaskState
from django_machinery.protocol.states import FAILURE, FINAL
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Bury, Note, Outcome, Publish, Unit, Verdict

if TYPE_CHECKING:
    from django_machinery.drivers.orm.consumer import OrmConsumer
    from django_machinery.models.sql.rows import Fence
    from django_machinery.protocol.signature import Signature


class OrmUnit(Unit):
    """Settles, writes states, counts groups and sends follow-ups as one step.

    It supposes that everything is still ours and rolls back where it is not: then it looks, under locks, who lost.
    """

    def __init__(self, alias: str, writer: StateWriter, consumer: OrmConsumer, publish: Publish, bury: Bury) -> None:
        self._alias = alias
        self._consumer = consumer
        self._publish = publish
        self._bury = bury
        self._writer = writer
        self._chords = Chords(alias, self._writer)
        self._messages = Message.objects.db_manager(alias)
        self._tasks = TaskState.objects.db_manager(alias)

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        if not outcomes and not notes:
            return []
        with translated(self._alias, BackendUnavailable, BackendError, BackendRefused):
            return retried(self._alias, lambda: self._commit(outcomes, notes))

    def _commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> list[Verdict]:
        if self._conclude(outcomes, notes) or self._write_all(outcomes, notes):
            return [Verdict.COMMITTED] * len(outcomes)
        with transaction.atomic(using=self._alias):
            verdicts = self._judge(outcomes)
            pairs = zip(outcomes, verdicts, strict=True)
            self._write([outcome for outcome, verdict in pairs if verdict is Verdict.COMMITTED], notes)
        return verdicts

    def _conclude(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> bool:
        """The short way, for tasks whose end touches nothing but themselves, as most do."""
        steps = [step(outcome.change) for outcome in outcomes if outcome.change is not None and _is_plain(outcome)]
        if notes or len(steps) < len(outcomes) or connections[self._alias].in_atomic_block:
            return False
        return self._messages.conclude(self._consumer.worker_id, _fences(outcomes), steps)

    def _write_all(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> bool:
        try:
            with transaction.atomic(using=self._alias):
                self._write(outcomes, notes)
        except NotAllWon:
            return False
        return True

    def _write(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> None:
        if self._messages.settle(self._consumer.worker_id, _fences(outcomes)) < len(outcomes):
            raise NotAllWon
        self._lock_abandoned(outcomes)
        changes = [outcome.change for outcome in outcomes if outcome.change is not None]
        if notes:
            self._note(notes, {change.uuid for change in changes})
        self._writer.step(changes)
        self._follow_up(outcomes, changes)

    def _note(self, notes: Sequence[Note], ended: set[str]) -> None:
        held = self._messages.held(self._consumer.worker_id, [_fence(note) for note in notes])
        last = {note.uuid: note.change for note in notes if _fence(note) in held}
        self._writer.note([change for uuid, change in last.items() if uuid not in ended])

    def _judge(self, outcomes: Sequence[Outcome]) -> list[Verdict]:
        held = self._messages.held(self._consumer.worker_id, _fences(outcomes))
        ours = [outcome for outcome in outcomes if _fence(outcome) in held]
        self._lock_abandoned(ours)
        still_open = self._writer.still_open([outcome.change for outcome in ours if outcome.change is not None])
        verdicts = []
        for outcome in outcomes:
            verdicts.append(_verdict(outcome, held, still_open))
            held.discard(_fence(outcome))  # what a crash of the server gave us twice is ours once
        return verdicts

    def _lock_abandoned(self, outcomes: Sequence[Outcome]) -> None:
        """Lock the tasks of all outcomes in one order where some will be abandoned later on: others may end those."""
        abandoned = [signature.uuid for outcome in outcomes for signature in outcome.abandoned]
        if abandoned:
            self._tasks.states(
                [*abandoned, *(outcome.change.uuid for outcome in outcomes if outcome.change is not None)]
            )

    def _follow_up(self, outcomes: Sequence[Outcome], changes: Sequence[StateChange]) -> None:
        completed = [outcome for outcome in outcomes if outcome.change is None and outcome.final is not None]
        messages: list[Signature] = [again.retry for again in outcomes if again.retry is not None]
        for outcome in outcomes:
            if outcome.burial is not None:
                self._bury(outcome)
            if outcome.abandoned:
                self._abandon(outcome)
            if outcome.change is not None:
                messages += outcome.follow_ups
        messages += self._not_sent([s for outcome in completed for s in outcome.follow_ups])
        fresh, again = self._chords.settle(outcomes, changes, completed)
        messages += [*fresh, *self._not_sent(again)]
        if messages:
            self._publish(messages)
            transaction.on_commit(self._consumer.wake, using=self._alias)

    def _abandon(self, outcome: Outcome) -> None:
        self._writer.write([StateChange(s, FAILURE, error=outcome.error, reason="parent") for s in outcome.abandoned])

    def _not_sent(self, signatures: Sequence[Signature]) -> list[Signature]:
        """Of follow-ups that an earlier run may have sent: those that neither wait nor have ended."""
        if not signatures:
            return []
        uuids = [signature.uuid for signature in signatures]
        waiting = self._messages.filter(uuid__in=uuids).values_list("uuid", flat=True)
        sent = {uuid for uuid, state in self._tasks.states(uuids).items() if state in FINAL}.union(waiting)
        return [signature for signature in signatures if signature.uuid not in sent]


def _fence(of: Outcome | Note) -> Fence:
    return of.delivery.handle, of.delivery.claim


def _fences(outcomes: Sequence[Outcome]) -> list[Fence]:
    return [(outcome.delivery.handle, outcome.delivery.claim) for outcome in outcomes]


def _is_plain(outcome: Outcome) -> bool:
    signature, change = outcome.signature, outcome.change
    return (
        not outcome.follow_ups
        and signature is not None
        and not signature.group_uuid
        and change is not None
        and change.attempt is None
        and outcome.retry is None
        and outcome.burial is None
        and not outcome.abandoned
    )


def _verdict(outcome: Outcome, held: set[Fence], still_open: set[str]) -> Verdict:
    if _fence(outcome) not in held:
        return Verdict.FENCED
    if outcome.change is not None and outcome.change.uuid not in still_open:
        return Verdict.OVERTAKEN
    return Verdict.COMMITTED
