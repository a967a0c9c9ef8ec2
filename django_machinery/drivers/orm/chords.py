"""What the end of members makes of their groups: the callback of a chord, or its failure, triggered once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django_machinery.drivers.orm.rows import results_of
from django_machinery.models import GroupMeta, TaskState
from django_machinery.protocol import followups
from django_machinery.protocol.states import FAILURE
from django_machinery.seams.backend import StateChange

if TYPE_CHECKING:
    from django_machinery.drivers.orm.states import StateWriter
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.unit import Outcome


class Chords:
    """Counts the groups of a batch and settles those that are complete or have failed."""

    def __init__(self, alias: str, writer: StateWriter) -> None:
        self._writer = writer
        self._tasks = TaskState.objects.db_manager(alias)
        self._groups = GroupMeta.objects.db_manager(alias)

    def settle(
        self, outcomes: Sequence[Outcome], changes: Sequence[StateChange], completed: Sequence[Outcome]
    ) -> tuple[list[Signature], list[Signature]]:
        """What to send: what is triggered now, and what may have been sent before a crash."""
        fresh: list[Signature] = []
        again: list[Signature] = []
        redelivered = [o.signature.group_uuid for o in completed if o.signature is not None and o.signature.group_uuid]
        for group in self._writer.count(changes, redelivered):
            members = [o for o in outcomes if o.signature is not None and o.signature.group_uuid == group.uuid]
            if group.triggered_by is None:
                fresh += self._settle_group(group, members)
            elif any(member in completed and _uuid(member) == group.triggered_by for member in members):
                again += self._settle_group(group, members)
        return fresh, again

    def _settle_group(self, group: GroupMeta, members: Sequence[Outcome]) -> Sequence[Signature]:
        callback = next((o.signature.chord_callback for o in members if o.signature is not None), None)
        if callback is None or (group.remaining > 0 and not group.failed):
            return ()
        if not self._groups.trigger(group.uuid, group.triggered_by or _uuid(members[0])):
            return ()
        if group.failed:
            return self._fail(callback, self._first_error(group, members))
        results = self._tasks.members(group.uuid).values_list("results", flat=True)
        return (followups.chord_callback(callback, [results_of(text) or () for text in results]),)

    def _fail(self, callback: Signature, error: str) -> Sequence[Signature]:
        lost = (callback, *followups.abandoned(callback))
        self._writer.write([StateChange(s, FAILURE, error=error, reason="parent") for s in lost])
        return followups.error_callbacks(callback, error)

    def _first_error(self, group: GroupMeta, members: Sequence[Outcome]) -> str:
        for member in members:
            if member.state == FAILURE:
                return member.error
        failed = self._tasks.members(group.uuid).filter(state=FAILURE)
        return failed.order_by("finished_at").values_list("error", flat=True).first() or ""


def _uuid(outcome: Outcome) -> str:
    return outcome.signature.uuid if outcome.signature is not None else ""
