"""The handle of a chain: its steps in order (Go: backends/result/async_result.go, ChainAsyncResult)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async

from django_machinery.results.deadline import Deadline
from django_machinery.results.task import AsyncResult


class ChainResult:
    """A chain that was sent."""

    def __init__(self, results: Sequence[AsyncResult[Any]]) -> None:
        self.results = tuple(results)
        """The steps' handles, in order."""

    @property
    def uuid(self) -> str:
        """The UUID of the last step, whose result is the chain's."""
        return self.results[-1].uuid

    def get(self, timeout: float | None = 10.0) -> Any:
        """Wait up to `timeout` seconds for all steps and return the last one's result.

        Raises what `AsyncResult.get` raises, of the first step that failed.
        """
        deadline = Deadline(timeout)
        value: Any = None
        for result in self.results:
            value = result.wait(deadline)
        return value

    async def aget(self, timeout: float | None = 10.0) -> Any:
        """`get`, for async code."""
        deadline = Deadline(timeout)
        value: Any = None
        for result in self.results:
            value = await result.await_(deadline)
        return value

    @property
    def progress(self) -> tuple[int, int]:
        """(steps that have ended, steps)."""
        states = self.results[0].lookup.get(self.results)
        return sum(1 for state in states if state is not None and state.is_completed), len(self.results)

    async def aprogress(self) -> tuple[int, int]:
        """`progress`, for async code."""
        return await sync_to_async(lambda: self.progress)()
