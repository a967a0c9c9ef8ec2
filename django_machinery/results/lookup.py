"""Where handles look states up: in the result backend and, for what has none yet, in the outbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from asgiref.sync import sync_to_async

from django_machinery.protocol.states import TaskState
from django_machinery.seams.backend import pause_after

if TYPE_CHECKING:
    from django_machinery.results.deadline import Deadline
    from django_machinery.seams.backend import ResultBackend

LOOK_AT_ONCE = 50
"""After how many unfinished tasks one look of async code asks."""


class Sought(Protocol):
    """A task whose state is looked up."""

    uuid: str
    name: str
    carrier: str
    """The UUID of the message whose sending writes the state: the task's own, or that of one which leads to it."""


class Lookup:
    """Looks up states of the tasks of one server. Thread-safe, holds no connection.

    A message that a crash or an outage has left in the outbox may have no state yet: its task is PENDING all the same.
    """

    def __init__(
        self, backend: ResultBackend, kept: Callable[[Sequence[str]], Mapping[str, datetime]] = lambda uuids: {}
    ) -> None:
        """`kept`: those of these tasks whose messages wait in the outbox, and since when."""
        self.backend = backend
        self._kept = kept

    def get(self, tasks: Sequence[Sought]) -> list[TaskState | None]:
        """The states in the order asked; None where there is none: never sent, or expired."""
        return self._completed(tasks, self.backend.get_states(_uuids(tasks)))

    def wait(self, tasks: Sequence[Sought], deadline: Deadline) -> list[TaskState | None]:
        """Like `get`, once all that have a state are final, at the latest when the time is up."""
        began = time.monotonic()
        while True:
            states = self._completed(tasks, self.backend.wait(_uuids(tasks), deadline.left))
            if not any(map(_is_running, states)) or not deadline.left:
                return states
            time.sleep(min(pause_after(time.monotonic() - began), deadline.left))

    async def await_(self, tasks: Sequence[Sought], deadline: Deadline) -> list[TaskState | None]:
        """`wait`, for async code.

        A backend on Django's connections is asked from the thread that async code shares, as often as `wait` would
        ask: so it is the request's own connection, or the test's. For others a thread of its own waits.
        """
        waiting, began = list(tasks), time.monotonic()
        while waiting:
            first, later = waiting[:LOOK_AT_ONCE], waiting[LOOK_AT_ONCE:]
            if not self.backend.supports_transactions:
                first, later = waiting, []
                await sync_to_async(self.backend.wait, thread_sensitive=False)(_uuids(first), deadline.left)
            states = await sync_to_async(self.get)(first)
            running = [task for task, state in zip(first, states, strict=True) if _is_running(state)]
            waiting = [*running, *later]
            if running:
                if not deadline.left:
                    break
                await asyncio.sleep(min(pause_after(time.monotonic() - began), deadline.left))
        return await sync_to_async(self.get)(tasks)

    def _completed(self, tasks: Sequence[Sought], states: list[TaskState | None]) -> list[TaskState | None]:
        absent = [index for index, state in enumerate(states) if state is None]
        if not absent or not self.backend.keeps_results:
            return states
        kept = self._kept(list({tasks[index].carrier for index in absent}))
        for index in absent:
            if (since := kept.get(tasks[index].carrier)) is not None:
                states[index] = TaskState.pending(tasks[index].uuid, tasks[index].name, since)
        return self._looked_at_again(tasks, states)

    def _looked_at_again(self, tasks: Sequence[Sought], states: list[TaskState | None]) -> list[TaskState | None]:
        """What has left the outbox between the two looks has got its state before."""
        absent = [index for index, state in enumerate(states) if state is None]
        if absent:
            found = self.backend.get_states([tasks[index].uuid for index in absent])
            for index, state in zip(absent, found, strict=True):
                states[index] = state
        return states


def _uuids(tasks: Sequence[Sought]) -> list[str]:
    return [task.uuid for task in tasks]


def _is_running(state: TaskState | None) -> bool:
    return state is not None and not state.is_completed
