"""The unit of a broker and a result backend on one Redis: an outcome, its follow-ups and its settling are one step.

A member of a chord takes two: its state first, then, when all members of the batch are stored, what the group triggers
together with the settling. A crash in between brings the message back, and with it the second step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from django_machinery.drivers.redis.program import LOST, OVERTAKEN
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Bury, Note, OrderedUnit, Outcome, Publish, Verdict

if TYPE_CHECKING:
    from django_machinery.drivers.redis.client import Client
    from django_machinery.drivers.redis.consumer import RedisConsumer
    from django_machinery.drivers.redis.lanes import Lane
    from django_machinery.drivers.redis.program import Program
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend

_VERDICTS = {LOST: Verdict.FENCED, OVERTAKEN: Verdict.OVERTAKEN}


class Post(Protocol):
    """What a unit needs of its broker: programs to write to it, and what would be sent to it meanwhile."""

    client: Client

    def program(self) -> Program: ...

    def collecting(self) -> AbstractContextManager[tuple[list[StateChange], list[tuple[Lane, bytes]]]]: ...


class GroupUnit(OrderedUnit):
    """An ordered unit that looks at each group once a batch, however many of its members the batch has."""

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        self._completed: dict[str, bool] = {}
        return super().commit(outcomes, notes)

    def _settle_group(self, outcome: Outcome) -> Sequence[Signature]:
        member = outcome.signature
        if member is None or not _is_of_chord(outcome) or outcome.state != SUCCESS:
            return super()._settle_group(outcome)
        group = member.group_uuid
        if group not in self._completed:
            self._completed[group] = self._backend.group_completed(group, member.group_task_count)
        return self._complete_chord(member) if self._completed[group] else ()

    def _complete_chord(self, member: Signature) -> Sequence[Signature]:
        """Only who triggers reads the results of all members."""
        if not self._backend.trigger_chord(member.group_uuid, member.uuid):
            return ()
        return super()._complete_chord(member)


class RedisUnit(GroupUnit):
    """What an outcome triggers is worked out as in the ordered unit; it is written as the module says."""

    def __init__(
        self, broker: Post, consumer: RedisConsumer, backend: ResultBackend, publish: Publish, bury: Bury
    ) -> None:
        super().__init__(consumer, backend, publish, bury)
        self._broker = broker
        self._claims = consumer

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        self._completed = {}
        verdicts = dict.fromkeys(range(len(outcomes)), Verdict.COMMITTED)
        self._bury_ours(outcomes, verdicts)
        self._write(outcomes, verdicts, notes)
        self._complete_members(outcomes, verdicts)
        self._claims.forget([outcomes[i].delivery for i, v in verdicts.items() if v is not Verdict.OVERTAKEN])
        return list(verdicts.values())

    def _bury_ours(self, outcomes: Sequence[Outcome], verdicts: dict[int, Verdict]) -> None:
        """Dead letters are in another store: they are kept first, but only of what is still ours."""
        buried = [index for index, outcome in enumerate(outcomes) if outcome.burial is not None]
        places = [self._claims.place(outcomes[index].delivery) for index in buried]
        held = self._broker.client.calls([(key, ("HEXISTS", key, field)) for key, field in places])
        for index, is_held in zip(buried, held, strict=True):
            if is_held:
                self._bury(outcomes[index])
            else:
                verdicts[index] = Verdict.FENCED

    def _write(self, outcomes: Sequence[Outcome], verdicts: dict[int, Verdict], notes: Sequence[Note]) -> None:
        """Outcomes as a whole; of members of chords their states."""
        program = self._broker.program()
        for note in notes:
            program.item(*self._claims.place(note.delivery), decides=True)
            program.state(note.change)
        told = []
        for index, outcome in enumerate(outcomes):
            if verdicts[index] is Verdict.COMMITTED and not (_is_of_chord(outcome) and outcome.change is None):
                told.append(index)
                self._add(program, outcome, settles=not _is_of_chord(outcome))
        self._run(program, told, verdicts, skip=len(notes))

    def _complete_members(self, outcomes: Sequence[Outcome], verdicts: dict[int, Verdict]) -> None:
        """What is left of members of chords whose states are stored."""
        program = self._broker.program()
        told = [i for i, o in enumerate(outcomes) if verdicts[i] is Verdict.COMMITTED and _is_of_chord(o)]
        for index in told:
            outcome = outcomes[index]
            program.item(*self._claims.place(outcome.delivery), settles=True)
            self._add_follow_ups(program, outcome, self._settle_group(outcome))
        self._run(program, told, verdicts)

    def _add(self, program: Program, outcome: Outcome, *, settles: bool) -> None:
        change = outcome.change
        program.item(*self._claims.place(outcome.delivery), settles=settles, decides=change is not None)
        if change is not None:
            program.state(change)
        if settles:
            self._add_follow_ups(program, outcome, ())

    def _add_follow_ups(self, program: Program, outcome: Outcome, triggered: Iterable[Signature]) -> None:
        messages = [*outcome.follow_ups, *triggered]
        if outcome.retry is not None:
            messages.append(outcome.retry)
        changes: list[StateChange] = []
        sent: list[tuple[Lane, bytes]] = []
        if messages:
            with self._broker.collecting() as (changes, sent):
                self._publish(messages)
        if outcome.abandoned:
            error = outcome.error
            changes += [StateChange(s, FAILURE, error=error, reason="parent") for s in outcome.abandoned]
        for change in changes:
            program.state(change)
        for lane, body in sent:
            program.message(lane, body)

    def _run(self, program: Program, told: Sequence[int], verdicts: dict[int, Verdict], skip: int = 0) -> None:
        """`told`: the outcomes that the items after the first `skip` stand for."""
        if not program.items:
            return
        results = self._broker.client.call(program.key, program.command)[skip:]
        for index, result in zip(told, results, strict=True):
            verdicts[index] = _VERDICTS.get(result, Verdict.COMMITTED)


def _is_of_chord(outcome: Outcome) -> bool:
    signature = outcome.signature
    return signature is not None and bool(signature.group_uuid) and signature.chord_callback is not None
