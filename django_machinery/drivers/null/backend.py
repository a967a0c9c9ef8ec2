"""The result backend of `null://`: every state is accepted and none is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from django_machinery.exceptions import BackendError
from django_machinery.seams.backend import GroupProgress, ResultBackend, StateChange

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature
    from django_machinery.protocol.states import GroupMeta, TaskState


class NullBackend(ResultBackend):
    """Tasks, chains, groups and retries run; a chord is refused, for nobody would know when its members are done."""

    keeps_results = False

    def set_states(self, changes: Sequence[StateChange]) -> list[bool]:
        return [True] * len(changes)

    def get_states(self, uuids: Sequence[str]) -> list[TaskState | None]:
        return [None] * len(uuids)

    def wait(self, uuids: Sequence[str], timeout: float) -> NoReturn:
        """Raises BackendError at once: there will never be a result."""
        raise BackendError("null:// keeps no results, so there is nothing to wait for: set RESULT_BACKEND to a store.")

    def init_group(self, group_uuid: str, uuids: Sequence[str], callback: Signature | None = None) -> None:
        """Raises BackendError for a chord."""
        if callback is not None:
            raise BackendError("null:// keeps no groups, so the chord's callback would never run: set RESULT_BACKEND.")

    def get_group(self, group_uuid: str) -> GroupMeta | None:
        return None

    def group_progress(self, group_uuid: str) -> GroupProgress | None:
        return None

    def group_task_states(self, group_uuid: str, count: int) -> list[TaskState]:
        return []

    def trigger_chord(self, group_uuid: str, by: str) -> bool:
        return False

    def purge(self, uuids: Sequence[str]) -> None:
        pass

    def purge_group(self, group_uuid: str) -> None:
        pass
