"""The Redis result backend: states and groups under Go's keys, as Go writes them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.clients import open_client
from django_machinery.drivers.redis.errors import BACKEND
from django_machinery.drivers.redis.groups import Groups
from django_machinery.drivers.redis.program import ANEW, DONE, Program
from django_machinery.drivers.redis.states import CHUNK, add_states, lifetime, recount
from django_machinery.drivers.redis.watching import Watches
from django_machinery.exceptions import BackendUnavailable, DecodeError
from django_machinery.protocol.codec import decode_state
from django_machinery.protocol.states import STATES
from django_machinery.seams.backend import Estimate, GroupProgress, ResultBackend, StateChange

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature
    from django_machinery.protocol.states import GroupMeta, TaskState

OUTAGE = 10.0
"""Seconds for which who waits for a result bears with a Redis that is away: a failover takes less."""
PAUSE = 0.25
LISTED = 100_000
"""Keys that are looked at for the newest states: Redis has no list of them."""
COUNTED = 20_000
"""Keys that states are counted in. Of more, these stand for all."""


class RedisBackend(ResultBackend):
    """Everything expires: states after RESULTS_EXPIRE_IN, or an hour, as in Go."""

    supports_listing = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._client = open_client(url, config, BACKEND)
        self.store = self._client.address.store
        self._keep = lifetime(config)
        self._groups = Groups(self._client, self._keep, config.limits, self.get_states)
        self._watches = Watches(self._client)

    def set_states(self, changes: Sequence[StateChange]) -> list[bool]:
        last = {change.uuid: index for index, change in enumerate(changes)}
        counting = [change for index, change in enumerate(changes) if last[change.uuid] == index]
        results: list[int] = []
        for start in range(0, len(counting), CHUNK):
            results += self._write(counting[start : start + CHUNK])
        recount(self._client, counting, results)
        won = {change.uuid: result in (DONE, ANEW) for change, result in zip(counting, results, strict=True)}
        return [last[change.uuid] == index and won[change.uuid] for index, change in enumerate(changes)]

    def get_states(self, uuids: Sequence[str]) -> list[TaskState | None]:
        return [self._state(text) for text in self._read(uuids)]

    def list_states(
        self, limit: int, before: datetime | None = None, state: str = "", name: str = ""
    ) -> list[TaskState]:
        found = (each for each in self._all_states(LISTED) if each.is_one_of(before, state, name))
        return nlargest(limit, found, key=attrgetter("created_at", "task_uuid"))

    def count_states(self) -> dict[str, int]:
        counted = Counter(state.state for state in self._all_states(COUNTED))
        share = self._client.size() / COUNTED
        if share <= 1:
            return {state: counted[state] for state in STATES}
        return {state: Estimate(round(counted[state] * share)) for state in STATES}

    def wait(self, uuids: Sequence[str], timeout: float) -> list[TaskState | None]:
        deadline = time.monotonic() + timeout
        answered = time.monotonic()

        def there() -> None:
            nonlocal answered
            answered = time.monotonic()

        while True:
            try:
                return self._wait(uuids, deadline, there)
            except BackendUnavailable:
                now = time.monotonic()
                if now >= deadline or now - answered > OUTAGE:
                    raise
            time.sleep(min(PAUSE, max(0.0, deadline - now)))

    def init_group(self, group_uuid: str, uuids: Sequence[str], callback: Signature | None = None) -> None:
        self._groups.create(group_uuid, uuids)

    def get_group(self, group_uuid: str) -> GroupMeta | None:
        return self._groups.get(group_uuid)

    def group_progress(self, group_uuid: str) -> GroupProgress | None:
        return self._groups.progress(group_uuid)

    def group_completed(self, group_uuid: str, count: int) -> bool:
        return self._groups.is_completed(group_uuid)

    def group_task_states(self, group_uuid: str, count: int) -> list[TaskState]:
        return self._groups.member_states(group_uuid)

    def trigger_chord(self, group_uuid: str, by: str) -> bool:
        return self._groups.trigger(group_uuid, by)

    def purge(self, uuids: Sequence[str]) -> None:
        self._client.calls([(uuid, ("DEL", uuid)) for uuid in uuids])

    def purge_group(self, group_uuid: str) -> None:
        self._groups.delete(group_uuid)

    def close(self) -> None:
        self._watches.close()
        self._client.close()

    def _write(self, changes: Sequence[StateChange]) -> list[int]:
        """In one step, where one may touch them all; what became of each."""
        parts = [changes] if self._client.one_slot else [[change] for change in changes]
        programs = []
        for part in filter(None, parts):
            programs.append(Program(self._keep, self.config.limits))
            add_states(programs[-1], part)
        replies = self._client.calls([(program.key, program.command) for program in programs])
        return [result for reply in replies for result in reply]

    def _read(self, uuids: Sequence[str]) -> list[bytes | None]:
        if not self._client.one_slot:
            return self._client.calls([(uuid, ("GET", uuid)) for uuid in uuids])
        chunks = [uuids[start : start + CHUNK] for start in range(0, len(uuids), CHUNK)]
        replies = self._client.calls([(chunk[0], ("MGET", *chunk)) for chunk in chunks])
        return [text for reply in replies for text in reply]

    def _all_states(self, most: int) -> Iterator[TaskState]:
        """Those among about the first `most` keys, each once. Go's groups, and what others keep, are no states."""
        seen: set[str] = set()
        for page in self._client.scan():
            fresh = [key for key in dict.fromkeys(page) if key not in seen]
            seen.update(fresh)
            for key, state in zip(fresh, self.get_states(fresh), strict=True):
                if state is not None and state.task_uuid == key:
                    yield state
            if len(seen) >= most:
                return

    def _state(self, text: bytes | None) -> TaskState | None:
        """None also for what is no state: somebody else's key."""
        try:
            return None if text is None else decode_state(text, self.config.limits)
        except DecodeError:
            return None

    def _wait(self, uuids: Sequence[str], deadline: float, there: Callable[[], None]) -> list[TaskState | None]:
        """Calls `there` whenever Redis has answered."""
        states = dict(zip(uuids, self.get_states(uuids), strict=True))
        if not _unfinished(states):
            return [states[uuid] for uuid in uuids]
        with self._watches.open() as watch:
            changed = _unfinished(states)
            while True:
                states.update(zip(changed, map(self._state, watch.read(changed)), strict=True))
                there()
                left = deadline - time.monotonic()
                unfinished = _unfinished(states)
                if left <= 0 or not unfinished:
                    return [states[uuid] for uuid in uuids]
                changed = watch.changed(unfinished, left)


def _unfinished(states: dict[str, TaskState | None]) -> list[str]:
    return [uuid for uuid, state in states.items() if state is not None and not state.is_completed]
