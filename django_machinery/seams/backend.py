"""The result backend seam: a backend stores states and groups; it sends nothing.

`tests/contracts/backend.py` is this page as tests.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django_machinery.protocol.states import FINAL

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature
    from django_machinery.protocol.states import GroupMeta, TaskResult, TaskState


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a task that did not succeed, for the history that operators read."""

    number: int
    outcome: str
    """retry, error, crash, timeout or cancel."""
    started_at: datetime | None
    ended_at: datetime
    exception: str = ""
    error: str = ""
    traceback: str = ""


@dataclass(slots=True)
class StateChange:
    """One task's step to a state. A backend keeps of it what its store has room for; `TaskState` is what all keep."""

    signature: Signature
    """The invocation: its UUID, name, queue, group and arguments."""
    state: str
    results: tuple[TaskResult, ...] | None = None
    error: str = ""
    reason: str = ""
    """Why it failed: error, crash, timeout, cancelled, dead or parent."""
    worker: str = ""
    received_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: Attempt | None = None
    if_absent: bool = False
    """Write only where the task has no state yet (a follow-up that may have been sent before a crash)."""
    group_index: int | None = None
    parent_uuid: str = ""

    @property
    def uuid(self) -> str:
        return self.signature.uuid

    @property
    def final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far a group is: members that are final, of them failed, and all."""

    done: int
    failed: int
    total: int


class Estimate(int):
    """A number that is not counted but about right."""


SHORTEST, LONGEST = 0.001, 0.5
"""Seconds between two looks at tasks that somebody waits for, where nothing but looking tells."""
BACK_OFF = 0.15
"""The pause before the next look, as a part of the time waited so far."""


def pause_after(waited: float) -> float:
    """Seconds until it is worth looking again, after so many seconds."""
    return min(max(waited * BACK_OFF, SHORTEST), LONGEST)


class ResultBackend:
    """A store of states and groups. One object per server alias and process; safe to use from several threads.

    Every method raises `BackendUnavailable` when the store cannot be reached and `BackendError` when it refuses.
    """

    supports_listing: ClassVar[bool] = False
    """States can be listed, not only looked up: `list_states` works."""
    keeps_signatures: ClassVar[bool] = False
    """The invocation is kept with the state: `signatures` knows it, so that a task can be run again."""
    keeps_attempts: ClassVar[bool] = False
    """Runs that did not succeed are kept with the state. Of other backends, workers note them in the database."""
    supports_transactions: ClassVar[bool] = False
    """Writes take part in the caller's database transaction."""
    keeps_results: ClassVar[bool] = True
    """False: states are thrown away, so nobody can wait for one."""
    store: Hashable = None
    """Names the store; see `Broker.store`."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        self.url = url
        self.config = config

    def set_states(self, changes: Sequence[StateChange]) -> list[bool]:
        """Write many states; for each: did it win?

        The first final state of a task wins: a change of a task that is final loses, except PENDING without
        `if_absent`, which starts the task anew. A lost change leaves nothing behind. Name and creation time are kept
        from the PENDING state (Go: backends/redis/redis.go:153). A member that becomes final is counted in its group in
        the same step, so that a group of n costs O(n) in all. One change of a batch counts per task: the last.
        """
        raise NotImplementedError

    def get_states(self, uuids: Sequence[str]) -> list[TaskState | None]:
        """The states in the order asked; None where there is none (never sent, or expired)."""
        raise NotImplementedError

    def signatures(self, uuids: Sequence[str]) -> list[Signature | None]:
        """The invocations as they were last sent, in the order asked; None where there is none that can be read."""
        return [None] * len(uuids)

    def list_states(
        self, limit: int, before: datetime | None = None, state: str = "", name: str = ""
    ) -> list[TaskState]:
        """The newest of this server, the newest first: those sent before a time, in a state, of a task, if given."""
        raise NotImplementedError

    def count_states(self) -> dict[str, int]:
        """How many tasks of this server are in each state: exactly, or each an `Estimate` where they are many."""
        raise NotImplementedError

    def wait(self, uuids: Sequence[str], timeout: float) -> list[TaskState | None]:
        """Like `get_states`, once all that have a state are final, at the latest after `timeout` seconds.

        Wakes on completion or backs off in proportion to the time waited; it never polls at full speed.
        """
        raise NotImplementedError

    def init_group(self, group_uuid: str, uuids: Sequence[str], callback: Signature | None = None) -> None:
        """Store a group before its members are sent. `uuids` in the order of the members."""
        raise NotImplementedError

    def get_group(self, group_uuid: str) -> GroupMeta | None:
        """The group as Go stores it, or None."""
        raise NotImplementedError

    def group_progress(self, group_uuid: str) -> GroupProgress | None:
        """How far the group is, or None when there is no such group."""
        raise NotImplementedError

    def group_completed(self, group_uuid: str, count: int) -> bool:
        """Are all `count` members final?"""
        progress = self.group_progress(group_uuid)
        return progress is not None and progress.done >= count

    def group_task_states(self, group_uuid: str, count: int) -> list[TaskState]:
        """The states of the members in the order of `init_group`."""
        raise NotImplementedError

    def trigger_chord(self, group_uuid: str, by: str) -> bool:
        """Claim the right to send the chord's callback: true for exactly one task of the group, and again for that same
        task, which may come back after a crash between this and the sending."""
        raise NotImplementedError

    def purge(self, uuids: Sequence[str]) -> None:
        """Delete states. Unknown UUIDs are skipped."""
        raise NotImplementedError

    def purge_group(self, group_uuid: str) -> None:
        """Delete a group, not its members' states."""
        raise NotImplementedError

    def expire(self, limit: int = 1000) -> int:
        """Delete up to `limit` states and groups that are older than they are kept, where the store does not by itself.

        Unfinished states and members of groups that are not settled are spared. Returns how many it deleted.
        """
        return 0

    def close(self) -> None:
        """Free connections. The backend may be used again afterwards."""

    def check(self) -> list[CheckMessage]:
        """What `manage.py check` should say about this backend and its configuration."""
        return []
