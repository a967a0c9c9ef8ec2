"""Writing states: the first final one of a task wins, and a member that becomes final is counted in its group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from django_machinery.drivers.orm.rows import body_of, new_task, step
from django_machinery.models import Attempt, GroupMeta, TaskState
from django_machinery.protocol.states import FAILURE, FINAL, PENDING

if TYPE_CHECKING:
    from django_machinery.models.sql.rows import NewTask
    from django_machinery.protocol.codec import Limits
    from django_machinery.seams.backend import StateChange


class NotAllWon(Exception):
    """Some of the tasks are final already, or have no state yet: what was written with them has to be rolled back."""


class StateWriter:
    """Writes states within the caller's transaction. One change a task."""

    def __init__(self, alias: str, server: str, limits: Limits) -> None:
        self._alias = alias
        self._server = server
        self._limits = limits
        self._tasks = TaskState.objects.db_manager(alias)
        self._groups = GroupMeta.objects.db_manager(alias)
        self._attempts = Attempt.objects.db_manager(alias)

    def write(self, changes: Sequence[StateChange]) -> set[str]:
        """Write whatever wins; returns the UUIDs of the tasks that it won for."""
        anew = [change for change in changes if change.state == PENDING and not change.if_absent]
        absent = [change for change in changes if change.if_absent]
        steps = [change for change in changes if change.state != PENDING and not change.if_absent]
        self._tasks.announce(self._rows(anew))
        won = self._tasks.announce_absent(self._rows(absent))
        steps += [change for change in absent if change.uuid in won and change.state != PENDING]
        return won.union((change.uuid for change in anew), self._write_steps(steps))

    def step(self, changes: Sequence[StateChange]) -> None:
        """Write all or raise `NotAllWon`; then the caller rolls back, and asks `still_open` what is left to write."""
        if self._tasks.step([step(change) for change in changes]) < len(changes):
            raise NotAllWon
        failed = [change for change in changes if change.attempt is not None]
        if failed:
            self._record_attempts(failed)

    def note(self, changes: Sequence[StateChange]) -> None:
        """Write those that are of any interest still."""
        self._tasks.step([step(change) for change in changes])

    def still_open(self, changes: Sequence[StateChange]) -> set[str]:
        """The tasks that are not final, which nobody changes before the transaction ends; those unknown are made."""
        uuids = [change.uuid for change in changes]
        states = self._tasks.states(uuids)
        unknown = [change for change in changes if change.uuid not in states]
        if unknown:
            self._tasks.announce_absent(self._rows(unknown))
            states = self._tasks.states(uuids)
        return {uuid for uuid, state in states.items() if state not in FINAL}

    def count(self, changes: Sequence[StateChange], also: Sequence[str] = ()) -> list[GroupMeta]:
        """Count what became final; returns the groups that it belongs to and those in `also`, locked."""
        members = [change for change in changes if change.signature.group_uuid and change.state in FINAL]
        ended: dict[str, tuple[int, int]] = dict.fromkeys(also, (0, 0))
        if members:
            new = self._tasks.first_generation([change.uuid for change in members])
            counted = [change for change in members if change.uuid in new]
            done = Counter(change.signature.group_uuid for change in counted)
            failed = Counter(change.signature.group_uuid for change in counted if change.state == FAILURE)
            ended |= {uuid: (done[uuid], failed[uuid]) for uuid in {change.signature.group_uuid for change in members}}
        return self._groups.count_down(ended) if ended else []

    def _rows(self, changes: Sequence[StateChange]) -> list[NewTask]:
        return [new_task(change, self._server, body_of(change.signature, self._limits)) for change in changes]

    def _write_steps(self, changes: Sequence[StateChange]) -> set[str]:
        if not changes:
            return set()
        try:
            with transaction.atomic(using=self._alias):
                self.step(changes)
        except NotAllWon:
            still_open = self.still_open(changes)
            changes = [change for change in changes if change.uuid in still_open]
            self.step(changes)
        self.count(changes)
        return {change.uuid for change in changes}

    def _record_attempts(self, changes: Sequence[StateChange]) -> None:
        """A row a run that did not succeed; one that was recorded before a crash stays as it is."""
        uuids = [change.uuid for change in changes]
        generations = dict(self._tasks.filter(uuid__in=uuids).values_list("uuid", "generation"))
        self._attempts.record(
            Attempt.of(change.signature, change.attempt, change.worker, generations[change.uuid])
            for change in changes
            if change.attempt is not None
        )
