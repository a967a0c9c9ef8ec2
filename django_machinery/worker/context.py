"""What a task that takes a context is given."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import index
from time import monotonic
from typing import TYPE_CHECKING

from django.utils.functional import Promise

from django_machinery.protocol import headers
from django_machinery.protocol.storable import storable
from django_machinery.registry import TaskDefinition
from django_machinery.seams.broker import Delivery
from django_machinery.worker.run import Progress, Run

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature

MOST = 2**63 - 1
"""The largest number that every database holds."""
LONGEST = 255
"""Characters of a note."""


class TaskContext:
    """The first argument of a task declared with `takes_context=True`: which run this is, and what it may say."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    @classmethod
    def direct(cls, signature: Signature) -> TaskContext:
        """The context of a task that is called like any function: nobody hears of its progress."""
        delivery = Delivery(b"", signature.queue, None, "")
        definition = TaskDefinition(signature.name, lambda: None)
        now = datetime.now(UTC)
        return cls(Run(delivery, signature, definition, now, now, monotonic()))

    @property
    def signature(self) -> Signature:
        """The invocation, as it was received."""
        return self._run.signature

    @property
    def uuid(self) -> str:
        """The task's UUID, the same in every run."""
        return self._run.signature.uuid

    @property
    def attempt(self) -> int:
        """The number of this run, from 1: retries count, what was repeated after a crash does not."""
        return headers.attempt(self._run.signature)

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how far the task is. Call it as often as you like: about twice a second the newest is stored.

        `done` and `total` are whole numbers from 0 to 2**63 - 1; of `note` 255 characters are kept. Raises TypeError or
        ValueError for anything else.
        """
        self._run.progress = Progress(_number(done), None if total is None else _number(total), _text(note))

    @property
    def cancelled(self) -> bool:
        """Has somebody asked that the task ends? A plain task may look and return; `async def` is interrupted."""
        return self._run.cancelled


def _number(value: int) -> int:
    number = int(index(value))
    if not 0 <= number <= MOST:
        raise ValueError(f"progress is counted from 0 to 2**63 - 1, not with {number}")
    return number


def _text(note: str) -> str:
    if not isinstance(note, str | Promise):
        raise TypeError(f"the note of a task's progress is text, not {type(note).__qualname__}")
    return storable(str(note)[:LONGEST])
