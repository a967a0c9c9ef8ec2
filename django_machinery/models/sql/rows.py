"""What hot statements take and give, a named tuple a row."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, TypeAlias


class NewMessage(NamedTuple):
    """A message to be inserted; it takes the place of one with its UUID."""

    uuid: str
    queue: str
    name: str
    status: int
    rank: int
    due_at: datetime | None
    """Aware; None: now."""
    body: str
    relay_to: str = ""


class NewTask(NamedTuple):
    """A task that becomes PENDING."""

    uuid: str
    server: str
    name: str
    queue: str
    priority: int
    signature: str
    eta: datetime | None = None
    group_uuid: str | None = None
    group_index: int | None = None
    parent_uuid: str | None = None


class Step(NamedTuple):
    """A task's step to a state. It counts only while the task is not final."""

    uuid: str
    state: str
    results: str | None = None
    error: str = ""
    reason: str = ""
    traceback: str = ""
    attempt: int | None = None
    """None: as it was."""
    worker: str = ""
    received_at: datetime | None = None
    """None: as it was."""
    started_at: datetime | None = None
    """None: as it was."""
    finished_at: datetime | None = None
    """None: now, if the state is final."""


class Claimed(NamedTuple):
    """A message that was just claimed."""

    id: int
    uuid: str
    queue: str
    body: str
    claims: int
    crashes: int
    suspect: bool
    waited: float | None = None
    """Seconds since it became ready, by the database's clock."""


class OutboxRow(NamedTuple):
    """A message in the outbox."""

    id: int
    claims: int
    """Changes when the row is written again: a relay deletes only what it has published."""
    body: str
    uuid: str
    name: str
    queue: str


Fence: TypeAlias = tuple[int, int]
"""The id of a message and its number of claims when it was claimed: with the worker's id, the proof of ownership."""
