"""Groups under Go's key, and beside it what spares members the reading of all others each time one ends."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from django_machinery.drivers.redis.keys import CHORD_MUTEX, GroupKeys
from django_machinery.drivers.redis.script import Command, Script
from django_machinery.exceptions import BackendUnavailable, DecodeError
from django_machinery.protocol.codec import decode_group, encode_group
from django_machinery.protocol.states import FAILURE, GroupMeta, TaskState
from django_machinery.seams.backend import GroupProgress

if TYPE_CHECKING:
    from django_machinery.drivers.redis.client import Client
    from django_machinery.protocol.codec import Limits

LARGEST_LOOK = 500
"""The most members that are looked at together."""
MUTEX = 8000
"""Milliseconds for which the lock of all chords is held at most (Go: redsync's default)."""
PATIENCE = 16.0
"""Seconds to wait for that lock."""
PAUSE = 0.02

_ENLIST, _TRIGGER = Script("enlist"), Script("trigger")
_PUT, _RELEASE = Script("put"), Script("release")

ReadStates = Callable[[Sequence[str]], list[TaskState | None]]


class Groups:
    def __init__(self, client: Client, keep: int, limits: Limits, read_states: ReadStates) -> None:
        self._client = client
        self._keep = keep
        self._limits = limits
        self._read_states = read_states

    def create(self, uuid: str, members: Sequence[str]) -> None:
        keys = GroupKeys(uuid)
        meta = encode_group(GroupMeta.of(uuid, members), self._limits)
        self._calls(
            keys,
            ("DEL", keys.members, keys.cursor, keys.trigger),
            ("SET", keys.fresh, 1, "EX", self._keep),
            ("SET", keys.meta, meta, "EX", self._keep),
            self._listing(keys, members),
        )

    def get(self, uuid: str) -> GroupMeta | None:
        text = self._client.call(uuid, ("GET", uuid))
        try:
            return None if text is None else decode_group(text, self._limits)
        except DecodeError:
            return None

    def delete(self, uuid: str) -> None:
        keys = GroupKeys(uuid)
        self._calls(keys, ("DEL", keys.meta, keys.members, keys.cursor, keys.fresh, keys.trigger))

    def progress(self, uuid: str) -> GroupProgress | None:
        members = self._members(uuid)
        if members is None:
            return None
        found = self._states(GroupKeys(uuid), members)
        states = [state for state in found if state is not None and state.is_completed]
        return GroupProgress(len(states), sum(state.is_failure for state in states), len(members))

    def is_completed(self, uuid: str) -> bool:
        """Go on from the first member that was not final the last time: O(n) for all the calls of a group of n."""
        keys = GroupKeys(uuid)
        cursor, total, *_ = self._calls(keys, ("GET", keys.cursor), ("LLEN", keys.members), *self._renewals(keys))
        if not total:
            total = len(self._members(uuid) or ())
        first = passed = int(cursor or 0)
        look = 1
        while passed < total:
            final = self._count_final(keys, passed, look)
            passed += final
            if final < look:
                break
            look = min(4 * look, LARGEST_LOOK)
        if passed > first:
            self._calls(keys, _PUT([keys.cursor], passed, 1000 * self._keep))
        return bool(0 < total <= passed)

    def member_states(self, uuid: str) -> list[TaskState]:
        """In the order of the members. One that has expired counts as failed: its results cannot be had any more."""
        members = self._members(uuid) or []
        return [state or _expired(m) for m, state in zip(members, self._read_states(members), strict=True)]

    def trigger(self, uuid: str, by: str) -> bool:
        """Under Go's lock of all chords. Raises BackendUnavailable when a Go worker does not let go of it."""
        attempt = self._trigger if self._client.one_slot else self._trigger_in_cluster
        deadline = time.monotonic() + PATIENCE
        while (answer := attempt(GroupKeys(uuid), by)) == 2:
            if time.monotonic() > deadline:
                raise BackendUnavailable(f"Redis: {CHORD_MUTEX} is held for more than {PATIENCE} seconds")
            time.sleep(PAUSE)
        return answer == 1

    def _trigger(self, keys: GroupKeys, by: str) -> int:
        """The script sees the lock, and nothing can take it while it runs: it needs not take it itself."""
        places = (keys.meta, keys.trigger, CHORD_MUTEX)
        answer: int = self._client.call(keys.meta, _TRIGGER(places, by, self._keep))
        return answer

    def _trigger_in_cluster(self, keys: GroupKeys, by: str) -> int:
        """The lock is in another slot, so that it has to be taken, as Go takes it."""
        value = secrets.token_hex(8)
        if not self._client.call(CHORD_MUTEX, _PUT([CHORD_MUTEX], value, MUTEX, "NX")):
            return 2
        try:
            answer: int = self._client.call(keys.meta, _TRIGGER((keys.meta, keys.trigger), by, self._keep))
            return answer
        finally:
            self._client.call(CHORD_MUTEX, _RELEASE([CHORD_MUTEX], value))

    def _members(self, uuid: str) -> list[str] | None:
        """The UUIDs, from the list beside the group, which is made here if Go has made the group."""
        keys = GroupKeys(uuid)
        found = self._client.call(keys.meta, ("LRANGE", keys.members, 0, -1))
        if found:
            return [member.decode() for member in found]
        meta = self.get(uuid)
        if meta is None:
            return None
        members = list(meta.task_uuids or ())
        self._calls(keys, self._listing(keys, members))
        return members

    def _listing(self, keys: GroupKeys, members: Sequence[str]) -> Command:
        """One step, since all whose members end together make the list together."""
        return _ENLIST([keys.members], self._keep, *members)

    def _renewals(self, keys: GroupKeys) -> list[Command]:
        """Go lets a group expire an hour after it was sent, whether it is done or not; it lives while members end."""
        return [("EXPIRE", key, self._keep) for key in (keys.meta, keys.members, keys.cursor)]

    def _count_final(self, keys: GroupKeys, start: int, look: int) -> int:
        """How many members from `start` on are final, up to the first that is not; at most `look`."""
        members = self._client.call(keys.meta, ("LRANGE", keys.members, start, start + look - 1))
        states = self._states(keys, [member.decode() for member in members])
        return sum(1 for _ in takewhile(lambda state: state is not None and state.is_completed, states))

    def _states(self, keys: GroupKeys, members: Sequence[str]) -> list[TaskState | None]:
        """The states; of a member whose state has expired a failed one, None while it may be still to come.

        A state is kept as long as `fresh` and written after it, so that none has expired while that is there. It may
        still be to come then: the relay sends a large group that a crash left in the outbox part by part. Go has no
        such key, and needs none: it stores all states before it sends the first member (server.go:230).
        """
        states = self._read_states(members)
        if all(states) or self._client.call(keys.meta, ("EXISTS", keys.fresh)):
            return states
        return [state or _expired(member) for member, state in zip(members, states, strict=True)]

    def _calls(self, keys: GroupKeys, *commands: Command) -> list[Any]:
        return self._client.calls([(keys.meta, command) for command in commands])


def _expired(member: str) -> TaskState:
    return TaskState(task_uuid=member, state=FAILURE, error=f"The state of {member} has expired.")
