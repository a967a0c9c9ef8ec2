"""The handle of a chord: a group and the callback that gets its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_machinery.exceptions import TaskFailed
from django_machinery.results.deadline import Deadline
from django_machinery.results.group import GroupResult
from django_machinery.results.task import AsyncResult

if TYPE_CHECKING:
    from django_machinery.seams.backend import GroupProgress


class ChordResult:
    """A chord that was sent."""

    def __init__(self, group: GroupResult, callback: AsyncResult[Any]) -> None:
        self.group = group
        self.callback = callback

    @property
    def uuid(self) -> str:
        """The UUID of the callback, whose result is the chord's."""
        return self.callback.uuid

    def get(self, timeout: float | None = 10.0) -> Any:
        """Wait up to `timeout` seconds and return the callback's result.

        When a member fails, the chord fails at once with that member's error. Raises as `AsyncResult.get`.
        """
        return self.callback.wait(Deadline(timeout))

    async def aget(self, timeout: float | None = 10.0) -> Any:
        """`get`, for async code."""
        return await self.callback.aget(timeout)

    @property
    def progress(self) -> GroupProgress:
        """How far the members are."""
        return self.group.progress

    @property
    def failures(self) -> list[TaskFailed]:
        """The members that have failed so far."""
        return self.group.failures

    async def aprogress(self) -> GroupProgress:
        """`progress`, for async code."""
        return await self.group.aprogress()

    async def afailures(self) -> list[TaskFailed]:
        """`failures`, for async code."""
        return await self.group.afailures()
