"""The unit: what joins a broker and a result backend when a delivery ends.

An outcome is a new state, what it triggers, and the settling of the message, in that order, so that every crash point
is safe: what was not settled comes again, and what comes again is completed from the stored state. A driver that is
both broker and backend of one store overrides this with one atomic step (`Broker.unit`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from django_machinery.protocol import followups
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.seams.backend import StateChange

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature
    from django_machinery.protocol.states import TaskState
    from django_machinery.seams.backend import ResultBackend
    from django_machinery.seams.consumer import Consumer, Delivery


class Verdict(Enum):
    """What became of an outcome."""

    COMMITTED = "committed"
    FENCED = "fenced"
    """The delivery was no longer ours: another worker has the message, nothing of this outcome counts."""
    OVERTAKEN = "overtaken"
    """Another run made the task final first: nothing was written or settled; complete it from the stored state."""


@dataclass(frozen=True, slots=True)
class Burial:
    """Why a message is a dead letter instead of a task: kept for operators, taken off the queue."""

    reason: str
    """undecodable, poison (crashed its process too often) or refused (its outcome cannot be stored, or it cannot be
    sent)."""
    detail: str
    worker: str = ""


@dataclass(slots=True)
class Outcome:
    """How one delivery ended."""

    delivery: Delivery
    signature: Signature | None = None
    """None: the message could not be decoded."""
    change: StateChange | None = None
    """None: the state is stored already, or there is none to write."""
    follow_ups: tuple[Signature, ...] = ()
    """To be sent, each PENDING unless it has a state; their UUIDs are fixed, so sending twice is harmless."""
    retry: Signature | None = None
    """To be sent again in place of this message, under the same UUID; its state stays as `change` says."""
    abandoned: tuple[Signature, ...] = ()
    """Tasks that can no longer run because this one failed: FAILURE, reason parent, unless they are final."""
    burial: Burial | None = None
    final: TaskState | None = None
    """With no `change`: the stored final state that the follow-ups are completed from."""

    @property
    def state(self) -> str:
        """The state that the task is in now; empty where that is not known."""
        ended = self.change or self.final
        return ended.state if ended is not None else ""

    @property
    def error(self) -> str:
        """Why the task failed."""
        ended = self.change or self.final
        return ended.error if ended is not None else ""


@dataclass(frozen=True, slots=True)
class Note:
    """A state worth showing that ends nothing (RECEIVED, STARTED), of a task that runs here."""

    delivery: Delivery
    change: StateChange

    @property
    def uuid(self) -> str:
        return self.change.uuid


Publish = Callable[[Sequence["Signature"]], None]
Bury = Callable[["Outcome"], None]


class Unit:
    """Commits outcomes of deliveries that one consumer handed out."""

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        """Make outcomes durable and settle their messages; for each outcome its verdict.

        Of `notes` those are written whose delivery is still ours and whose task is not final.
        Raises `BrokerUnavailable` or `BackendUnavailable`: some outcomes may be durable then, all may be given again.
        Raises `BackendRefused` when the store cannot hold a value: nothing of the batch was settled.
        """
        raise NotImplementedError


class OrderedUnit(Unit):
    """State, then follow-ups, then settle: for a broker and a backend that share nothing."""

    def __init__(self, consumer: Consumer, backend: ResultBackend, publish: Publish, bury: Bury) -> None:
        self._consumer = consumer
        self._backend = backend
        self._publish = publish
        self._bury = bury

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        verdicts = self._store(outcomes, self._ours(notes) if notes else ())
        stored = [outcome for outcome, verdict in zip(outcomes, verdicts, strict=True) if verdict is Verdict.COMMITTED]
        for outcome in stored:
            self._follow_up(outcome)
        owned = iter(self._consumer.settle([outcome.delivery for outcome in stored]))
        return [v if v is not Verdict.COMMITTED or next(owned) else Verdict.FENCED for v in verdicts]

    def _ours(self, notes: Sequence[Note]) -> Sequence[StateChange]:
        held = self._consumer.holds([note.delivery for note in notes])
        return [note.change for note, is_held in zip(notes, held, strict=True) if is_held]

    def _store(self, outcomes: Sequence[Outcome], notes: Sequence[StateChange]) -> list[Verdict]:
        changes = [outcome.change for outcome in outcomes if outcome.change is not None]
        won = iter(self._backend.set_states([*notes, *changes])[len(notes) :])
        return [Verdict.COMMITTED if outcome.change is None or next(won) else Verdict.OVERTAKEN for outcome in outcomes]

    def _follow_up(self, outcome: Outcome) -> None:
        if outcome.burial is not None:
            self._bury(outcome)
        self._abandon(outcome.abandoned, outcome)
        messages = [*outcome.follow_ups, *self._settle_group(outcome)]
        if outcome.retry is not None:
            messages.append(outcome.retry)
        if messages:
            self._publish(messages)

    def _abandon(self, abandoned: Sequence[Signature], outcome: Outcome) -> None:
        error = outcome.error
        changes = [StateChange(s, FAILURE, error=error, reason="parent") for s in abandoned]
        if changes:
            self._backend.set_states(changes)

    def _settle_group(self, outcome: Outcome) -> Sequence[Signature]:
        """What the group of this member triggers now: nothing, its callback, or the callback's error callbacks."""
        signature, state = outcome.signature, outcome.state
        if signature is None or not signature.group_uuid or signature.chord_callback is None:
            return ()
        if state == FAILURE:
            return self._fail_chord(signature, outcome.error)
        if state == SUCCESS and self._backend.group_completed(signature.group_uuid, signature.group_task_count):
            return self._complete_chord(signature)
        return ()

    def _complete_chord(self, member: Signature) -> Sequence[Signature]:
        states = self._backend.group_task_states(member.group_uuid, member.group_task_count)
        failed = next((state for state in states if state.is_failure), None)
        if failed is not None:
            return self._fail_chord(member, failed.error)
        if not self._backend.trigger_chord(member.group_uuid, member.uuid):
            return ()
        assert member.chord_callback is not None
        return (followups.chord_callback(member.chord_callback, [state.results or () for state in states]),)

    def _fail_chord(self, member: Signature, error: str) -> Sequence[Signature]:
        if not self._backend.trigger_chord(member.group_uuid, member.uuid):
            return ()
        assert member.chord_callback is not None
        lost = (member.chord_callback, *followups.abandoned(member.chord_callback))
        self._backend.set_states([StateChange(s, FAILURE, error=error, reason="parent") for s in lost])
        return followups.error_callbacks(member.chord_callback, error)
