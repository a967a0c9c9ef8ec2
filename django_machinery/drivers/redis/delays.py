"""Delayed messages: Go's sorted set of them, and how they get to their queues."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.drivers.redis.lanes import Lane
from django_machinery.drivers.redis.program import Program
from django_machinery.drivers.redis.script import Script, Word
from django_machinery.exceptions import BrokerError, BrokerUnavailable, DecodeError
from django_machinery.protocol.codec import decode_signature
from django_machinery.seams.broker import Waiting

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.client import Client
    from django_machinery.drivers.redis.lanes import Lanes

BATCH = 500
PAGE = 1000
"""Messages that are read at once, to find some."""
PUT_OFF = 5 * 10**9
"""Nanoseconds that a message is put off while it is moved in a Cluster: a crash in between repeats it after that."""

_DUE, _NEXT_DUE, _PROMOTE = Script("due"), Script("next_due"), Script("bell", "promote")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Delays:
    def __init__(self, client: Client, lanes: Lanes, key: str, config: ServerConfig) -> None:
        self._client = client
        self._lanes = lanes
        self._key = key
        self._config = config
        self._period = (config.redis_delayed_tasks_poll_period or 0) / 1000
        self._next = 0.0

    def next_due(self) -> float | None:
        """See `Broker.next_due`; with REDIS_DELAYED_TASKS_POLL_PERIOD not sooner than that is over."""
        if (rest := self._next - time.monotonic()) > 0:
            return rest
        nanoseconds = self._client.call(self._key, _NEXT_DUE([self._key]))
        due = None if nanoseconds is None else float(nanoseconds) / 1e9
        if due is None or due > 0:
            self._next = time.monotonic() + self._period
        return due

    def promote(self) -> int:
        """Move all that are due, oldest first; how many. Sooner than REDIS_DELAYED_TASKS_POLL_PERIOD, none."""
        if time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + self._period
        promoted = 0
        while bodies := self._due():
            moves = [(self._lane(body), body) for body in bodies]
            promoted += self._move(moves) if self._client.one_slot else self._send_and_remove(moves)
            if len(bodies) < BATCH:
                break
        return promoted

    def hasten(self, uuids: Collection[str]) -> int:
        """Make the messages of these tasks due. All that are delayed have to be read for that."""
        wanted, start = set(uuids), 0
        found: list[bytes] = []
        while bodies := self._client.call(self._key, ("ZRANGE", self._key, start, start + PAGE - 1)):
            found += [body for body in bodies if self._uuid(body) in wanted]
            start += PAGE
        if not found:
            return 0
        due = [word for body in found for word in (0, body)]
        changed: int = self._client.call(self._key, ("ZADD", self._key, "XX", "CH", *due))
        return changed

    def waiting(self, limit: int) -> list[Waiting]:
        """The soonest first."""
        found = self._client.call(self._key, ("ZRANGE", self._key, 0, limit - 1, "WITHSCORES"))
        return [
            Waiting(body, self._queue(body), _EPOCH + timedelta(microseconds=float(score) / 1000))
            for body, score in zip(found[::2], found[1::2], strict=True)
        ]

    def _due(self) -> list[bytes]:
        put_off = 0 if self._client.one_slot else PUT_OFF
        found: list[bytes] = self._client.call(self._key, _DUE([self._key], BATCH, put_off))
        return found

    def _lane(self, body: bytes) -> Lane:
        try:
            signature = decode_signature(body, self._config.limits)
        except DecodeError:
            return self._quarantine
        queue = signature.queue or self._config.default_queue
        return self._lanes.ready(signature.replace(queue=queue) if queue != signature.queue else signature)

    def _move(self, moves: Sequence[tuple[Lane, bytes]]) -> int:
        """In one step: off the delayed ones, onto the queue."""
        keys, args = {self._key: 1, self._quarantine.key: 2}, list[Word]()
        for lane, body in moves:
            index, *_ = [keys.setdefault(key, len(keys) + 1) for key, _ in lane.places]
            args += (body, lane.kind, index, lane.score, self._as_sent(lane, body))
        moved: int = self._client.call(self._key, _PROMOTE(list(keys), *args))
        return moved

    def _send_and_remove(self, moves: Sequence[tuple[Lane, bytes]]) -> int:
        """In two steps a queue, since the slots differ: a crash between them sends again, never loses.

        Raises what kept messages of a queue from being sent, when those of all others are.
        """
        parts: dict[str, list[tuple[Lane, bytes]]] = {}
        for lane, body in moves:
            parts.setdefault(lane.key, []).append((lane, body))
        removed, failure = 0, None
        for part in parts.values():
            try:
                self._send_or_quarantine(part)
            except BrokerError as error:
                failure = error
            else:
                removed += self._client.call(self._key, ("ZREM", self._key, *(body for _, body in part)))
        if failure is not None:
            raise failure
        return removed

    def _send_or_quarantine(self, part: Sequence[tuple[Lane, bytes]]) -> None:
        """To the one queue that they all go to; where its key is of another type, or cannot be, aside."""
        try:
            self._send(part)
        except BrokerUnavailable:
            raise
        except BrokerError:
            self._send([(self._quarantine, body) for _, body in part])

    def _send(self, part: Sequence[tuple[Lane, bytes]]) -> None:
        program = Program(0)
        program.item()
        for lane, body in part:
            program.message(lane, self._as_sent(lane, body))
        self._client.call(program.key, program.command)

    @property
    def _quarantine(self) -> Lane:
        """Where what cannot be moved waits for one of our workers, which runs it alone or buries it.

        No Go worker reads suspects, so that none is broken by it.
        """
        return Lane("L", ((queue_keys(self._config.default_queue).suspects, "l"),))

    def _as_sent(self, lane: Lane, body: bytes) -> bytes:
        return b"0:0:" + body if lane.key == self._quarantine.key else body

    def _uuid(self, body: bytes) -> str:
        try:
            return decode_signature(body, self._config.limits).uuid
        except DecodeError:
            return ""

    def _queue(self, body: bytes) -> str:
        try:
            return decode_signature(body, self._config.limits).queue
        except DecodeError:
            return ""
