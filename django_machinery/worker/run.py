"""One run of a task: what the thread that executes it shares with the watchdog and with the task's context."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from django_machinery.protocol.signature import Signature
    from django_machinery.registry import TaskDefinition
    from django_machinery.seams.broker import Delivery


class Progress(NamedTuple):
    """How far a task says that it is."""

    done: int
    total: int | None
    note: str


class Run:
    """A task that runs. Its thread writes it, others read it: every attribute is replaced as a whole."""

    __slots__ = (
        "began",
        "cancelled",
        "definition",
        "delivery",
        "escaped",
        "interrupt",
        "progress",
        "received_at",
        "reported",
        "signature",
        "started_at",
        "told",
        "unwatched",
    )

    def __init__(
        self,
        delivery: Delivery,
        signature: Signature,
        definition: TaskDefinition,
        received_at: datetime,
        started_at: datetime,
        began: float,
    ) -> None:
        self.delivery = delivery
        self.signature = signature
        self.definition = definition
        self.received_at = received_at
        self.started_at = started_at
        self.began = began
        """`time.monotonic()` of the start."""
        self.told = False
        """Has the watchdog shown that the task is STARTED?"""
        self.unwatched = False
        """Has the watchdog complained of it?"""
        self.progress: Progress | None = None
        self.reported = False
        """Has the reporter seen it? Then what it says last is stored too, with its outcome."""
        self.cancelled = False
        self.escaped: BaseException | None = None
        """What it raised that is no Exception, and is to end more than the task where that runs in its caller."""
        self.interrupt: Callable[[type[BaseException]], None] | None = None
        """Raises that exception inside the task, at most once, as soon as it can be; None: it cannot be interrupted."""
