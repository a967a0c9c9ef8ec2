"""The handle of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from django_machinery.exceptions import ResultTimeout, TaskFailed, TaskUnknown
from django_machinery.results.deadline import Deadline
from django_machinery.results.task import AsyncResult

if TYPE_CHECKING:
    from django_machinery.seams.backend import GroupProgress, ResultBackend


class GroupResult:
    """A group that was sent: members that run side by side."""

    def __init__(self, uuid: str, results: Sequence[AsyncResult[Any]], backend: ResultBackend) -> None:
        self.uuid = uuid
        self.results = tuple(results)
        """The members' handles, in the order of the group."""
        self._backend = backend

    def get(self, timeout: float | None = 10.0) -> list[Any]:
        """Wait up to `timeout` seconds for all members and return their results in order.

        Raises `TaskFailed` of the first member in order that failed, once all have ended; `failures` has them all.
        Otherwise as `AsyncResult.get`.
        """
        if not self.results:
            return []
        deadline = Deadline(timeout)
        self.results[0].refuse_uncommitted()
        states = self._backend.wait([result.uuid for result in self.results], deadline.left)
        for result, state in zip(self.results, states, strict=True):
            if state is None:
                raise TaskUnknown(f"No task {result.uuid} of group {self.uuid} is known: its state has expired")
            if not state.is_completed:
                raise ResultTimeout(f"Task {result.uuid} of group {self.uuid} is {state.state} after {timeout} s")
        return [result.value_of(state) for result, state in zip(self.results, states, strict=True) if state is not None]

    async def aget(self, timeout: float | None = 10.0) -> list[Any]:
        """`get`, for async code."""
        if self.results:
            self.results[0].refuse_uncommitted()
        return await sync_to_async(self.get, thread_sensitive=False)(timeout)

    @property
    def progress(self) -> GroupProgress:
        """How far the group is. Raises `TaskUnknown` when it has expired."""
        progress = self._backend.group_progress(self.uuid)
        if progress is None:
            raise TaskUnknown(f"No group {self.uuid} is known: it was never sent, or it has expired")
        return progress

    @property
    def is_completed(self) -> bool:
        """Have all members ended, well or badly?"""
        progress = self.progress
        return progress.done >= progress.total

    @property
    def failures(self) -> list[TaskFailed]:
        """The members that have failed so far, in order, as the errors that their `get` would raise."""
        states = self._backend.get_states([result.uuid for result in self.results])
        return [TaskFailed(s.error, s.task_uuid, s.task_name) for s in states if s is not None and s.is_failure]
