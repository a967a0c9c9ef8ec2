"""The handle of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from django_machinery.exceptions import ResultTimeout, TaskFailed, TaskUnknown
from django_machinery.results.deadline import Deadline
from django_machinery.results.task import AsyncResult
from django_machinery.seams.backend import GroupProgress

if TYPE_CHECKING:
    from django_machinery.protocol.states import TaskState
    from django_machinery.results.lookup import Lookup


class GroupResult:
    """A group that was sent: members that run side by side. One without members is complete."""

    def __init__(self, uuid: str, results: Sequence[AsyncResult[Any]], lookup: Lookup) -> None:
        self.uuid = uuid
        self.results = tuple(results)
        """The members' handles, in the order of the group."""
        self._lookup = lookup

    def get(self, timeout: float | None = 10.0) -> list[Any]:
        """Wait up to `timeout` seconds for all members and return their results in order.

        Raises `TaskFailed` of the first member in order that failed, once all have ended; `failures` has them all.
        Otherwise as `AsyncResult.get`.
        """
        if not self.results:
            return []
        deadline = Deadline(timeout)
        self.results[0].refuse_uncommitted()
        return self._values(self._lookup.wait(self.results, deadline), timeout)

    async def aget(self, timeout: float | None = 10.0) -> list[Any]:
        """`get`, for async code."""
        if not self.results:
            return []
        deadline = Deadline(timeout)
        await self.results[0].arefuse_uncommitted()
        return self._values(await self._lookup.await_(self.results, deadline), timeout)

    @property
    def progress(self) -> GroupProgress:
        """How far the group is. Raises `TaskUnknown` when it has expired."""
        if not self.results:
            return GroupProgress(0, 0, 0)
        progress = self._lookup.backend.group_progress(self.uuid)
        if progress is None:
            raise TaskUnknown(f"No group {self.uuid} is known: it was never sent, or it has expired")
        return progress

    async def aprogress(self) -> GroupProgress:
        """`progress`, for async code."""
        return await sync_to_async(lambda: self.progress)()

    @property
    def is_completed(self) -> bool:
        """Have all members ended, well or badly?"""
        progress = self.progress
        return progress.done >= progress.total

    async def ais_completed(self) -> bool:
        """`is_completed`, for async code."""
        return await sync_to_async(lambda: self.is_completed)()

    @property
    def failures(self) -> list[TaskFailed]:
        """The members that have failed so far, in order, as the errors that their `get` would raise."""
        states = self._lookup.get(self.results)
        return [TaskFailed(s.error, s.task_uuid, s.task_name) for s in states if s is not None and s.is_failure]

    async def afailures(self) -> list[TaskFailed]:
        """`failures`, for async code."""
        return await sync_to_async(lambda: self.failures)()

    def _values(self, states: Sequence[TaskState | None], timeout: float | None) -> list[Any]:
        for result, state in zip(self.results, states, strict=True):
            if state is None:
                raise TaskUnknown(f"No task {result.uuid} of group {self.uuid} is known: its state has expired")
            if not state.is_completed:
                raise ResultTimeout(f"Task {result.uuid} of group {self.uuid} is {state.state} after {timeout} s")
        return [result.value_of(state) for result, state in zip(self.results, states, strict=True) if state is not None]
