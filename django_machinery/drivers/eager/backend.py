"""The result backend of `eager://`: states and groups in the memory of the process, until they expire."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from django_machinery.protocol.states import FAILURE, FINAL, PENDING, STATES, GroupMeta, TaskState, merge
from django_machinery.seams.backend import GroupProgress, ResultBackend, StateChange

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature

EXPIRE_IN = 3600
"""Seconds, where RESULTS_EXPIRE_IN is not set (Go: config/config.go)."""
SWEEP_EVERY = 60.0
"""Seconds: no worker calls `expire` for an eager server, so writing does."""


@dataclass(slots=True)
class _Kept:
    """A state and since when it is kept, by `time.monotonic()`."""

    state: TaskState
    signature: Signature
    """As it was sent."""
    since: float

    @property
    def final(self) -> bool:
        return self.state.state in FINAL


@dataclass(slots=True)
class _Group:
    meta: GroupMeta
    is_chord: bool
    done: int = 0
    failed: int = 0
    triggered_by: str = ""
    since: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> int:
        return len(self.meta.task_uuids or ())

    @property
    def settled(self) -> bool:
        return bool(self.triggered_by) if self.is_chord else self.done >= self.total


class EagerBackend(ResultBackend):
    supports_listing = True
    keeps_signatures = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._states: dict[str, _Kept] = {}
        self._groups: dict[str, _Group] = {}
        self._finished = threading.Condition()
        """Guards both, and tells who waits that a task is final."""
        self._keep = float(config.results_expire_in or EXPIRE_IN)
        self._next_sweep = time.monotonic() + SWEEP_EVERY

    def set_states(self, changes: Sequence[StateChange]) -> list[bool]:
        last = {change.uuid: index for index, change in enumerate(changes)}
        with self._finished:
            won = [last[change.uuid] == index and self._set(change) for index, change in enumerate(changes)]
            self._finished.notify_all()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_EVERY
            self.expire()
        return won

    def get_states(self, uuids: Sequence[str]) -> list[TaskState | None]:
        with self._finished:
            return self._get(uuids)

    def signatures(self, uuids: Sequence[str]) -> list[Signature | None]:
        with self._finished:
            return [self._states[uuid].signature if uuid in self._states else None for uuid in uuids]

    def list_states(
        self, limit: int, before: datetime | None = None, state: str = "", name: str = ""
    ) -> list[TaskState]:
        with self._finished:
            states = [kept.state for kept in reversed(self._states.values())]
        found = [each for each in states if each.is_one_of(before, state, name)]
        return sorted(found, key=lambda state: state.created_at, reverse=True)[:limit]

    def count_states(self) -> dict[str, int]:
        with self._finished:
            return {**dict.fromkeys(STATES, 0), **Counter(kept.state.state for kept in self._states.values())}

    def wait(self, uuids: Sequence[str], timeout: float) -> list[TaskState | None]:
        unfinished = list(uuids)

        def all_finished() -> bool:
            while unfinished and not self._runs(unfinished[-1]):
                unfinished.pop()
            return not unfinished

        with self._finished:
            self._finished.wait_for(all_finished, timeout)
            return self._get(uuids)

    def init_group(self, group_uuid: str, uuids: Sequence[str], callback: Signature | None = None) -> None:
        with self._finished:
            self._groups[group_uuid] = _Group(GroupMeta.of(group_uuid, uuids), callback is not None)

    def get_group(self, group_uuid: str) -> GroupMeta | None:
        with self._finished:
            group = self._groups.get(group_uuid)
            return None if group is None else replace(group.meta, chord_triggered=bool(group.triggered_by))

    def group_progress(self, group_uuid: str) -> GroupProgress | None:
        with self._finished:
            group = self._groups.get(group_uuid)
            return None if group is None else GroupProgress(group.done, group.failed, group.total)

    def group_task_states(self, group_uuid: str, count: int) -> list[TaskState]:
        with self._finished:
            group = self._groups.get(group_uuid)
            members = self._get(group.meta.task_uuids or ()) if group else []
            return [state for state in members if state is not None]

    def trigger_chord(self, group_uuid: str, by: str) -> bool:
        with self._finished:
            group = self._groups.get(group_uuid)
            if group is None:
                return False
            group.triggered_by = group.triggered_by or by
            return group.triggered_by == by

    def purge(self, uuids: Sequence[str]) -> None:
        with self._finished:
            for uuid in uuids:
                self._states.pop(uuid, None)

    def purge_group(self, group_uuid: str) -> None:
        with self._finished:
            self._groups.pop(group_uuid, None)

    def expire(self, limit: int = 1000) -> int:
        with self._finished:
            before = time.monotonic() - self._keep
            states = [uuid for uuid, kept in self._states.items() if self._expired(kept, before)][:limit]
            for uuid in states:
                del self._states[uuid]
            groups = [uuid for uuid, group in self._groups.items() if group.settled and group.since < before]
            groups = groups[: limit - len(states)]
            for uuid in groups:
                del self._groups[uuid]
            return len(states) + len(groups)

    def _set(self, change: StateChange) -> bool:
        old = self._states.get(change.uuid)
        if old is not None and (change.if_absent or (old.final and change.state != PENDING)):
            return False
        if change.state == PENDING:
            state = TaskState.pending(change.uuid, change.signature.name)
        else:
            state = TaskState(
                task_uuid=change.uuid, task_name=change.signature.name, state=change.state,
                results=change.results, error=change.error,
            )  # fmt: skip
        starts = old is None or change.state == PENDING
        new = _Kept(
            merge(None if old is None else old.state, state),
            change.signature if starts or old is None else old.signature,
            time.monotonic(),
        )
        self._states[change.uuid] = new
        self._count(old, new)
        return True

    def _count(self, old: _Kept | None, new: _Kept) -> None:
        group = self._groups.get(new.signature.group_uuid)
        if group is None:
            return
        for kept, by in ((old, -1), (new, 1)):
            if kept is not None and kept.final:
                group.done += by
                group.failed += by * (kept.state.state == FAILURE)
        group.since = new.since

    def _runs(self, uuid: str) -> bool:
        kept = self._states.get(uuid)
        return kept is not None and not kept.final

    def _get(self, uuids: Sequence[str]) -> list[TaskState | None]:
        found = (self._states.get(uuid) for uuid in uuids)
        return [None if kept is None else kept.state for kept in found]

    def _expired(self, kept: _Kept, before: float) -> bool:
        group = self._groups.get(kept.signature.group_uuid)
        return kept.final and kept.since < before and (group is None or group.settled)
