"""States of tasks and groups as data (tasks/state.go:9-41, tasks/result.go:11-12)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

import msgspec
from msgspec import Raw

from django_machinery.protocol.names import go_name
from django_machinery.protocol.times import ZERO_TIME, format_time, now_text, parse_time
from django_machinery.protocol.type_table import Int64

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
RETRY = "RETRY"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"

STATES = (PENDING, RECEIVED, STARTED, RETRY, SUCCESS, FAILURE)
FINAL = frozenset({SUCCESS, FAILURE})
"""A task in one of these is not run again."""


class TaskResult(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename=go_name):
    """One of a task's results: the JSON text that travels, and the name of the Go type that it stands for."""

    type: str = ""
    value: Raw = Raw(b"null")


class TaskState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=go_name):
    """What a result backend keeps of a task. `state` is one of STATES, but another program may write others."""

    task_uuid: str = ""
    task_name: str = ""
    state: str = ""
    results: tuple[TaskResult | None, ...] | None = None
    """None until the task succeeded; () when it then had no result."""
    error: str = ""
    created_at_text: str = ZERO_TIME
    ttl: Int64 = 0
    """Unix seconds after which DynamoDB drops the state; else 0."""

    @classmethod
    def pending(cls, uuid: str, name: str, created_at: datetime | None = None) -> Self:
        """The state that a sender writes: the only one with a name and a time of its own (tasks/state.go:44)."""
        created = now_text() if created_at is None else format_time(created_at)
        return cls(task_uuid=uuid, task_name=name, state=PENDING, created_at_text=created)

    @property
    def created_at(self) -> datetime:
        """When the task was sent, to the microsecond; year 1 if that is not known."""
        return parse_time(self.created_at_text)

    def is_one_of(self, before: datetime | None = None, state: str = "", name: str = "") -> bool:
        """Was it sent before that time, is it in that state and of that name? What is not given fits all."""
        return (
            (not state or self.state == state)
            and (not name or self.task_name == name)
            and (before is None or self.created_at < before)
        )

    @property
    def is_completed(self) -> bool:
        return self.state in FINAL

    @property
    def is_success(self) -> bool:
        return self.state == SUCCESS

    @property
    def is_failure(self) -> bool:
        return self.state == FAILURE


class GroupMeta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=go_name):
    """What a result backend keeps of a group."""

    group_uuid: str = ""
    task_uuids: tuple[str, ...] | None = None
    chord_triggered: bool = False
    lock: bool = False
    """Memcache and Mongo: somebody is triggering the chord."""
    created_at_text: str = ZERO_TIME
    ttl: Int64 = 0

    @classmethod
    def of(cls, group_uuid: str, task_uuids: Iterable[str], created_at: datetime | None = None) -> Self:
        """The state of a group that is being sent."""
        created = now_text() if created_at is None else format_time(created_at)
        return cls(group_uuid=group_uuid, task_uuids=tuple(task_uuids), created_at_text=created)

    @property
    def created_at(self) -> datetime:
        """When the group was sent, to the microsecond; year 1 if that is not known."""
        return parse_time(self.created_at_text)


def merge(old: TaskState | None, new: TaskState) -> TaskState:
    """What to store when `new` follows `old`: name and time stay those of the first state.

    PENDING starts anew (backends/redis/redis.go:153-168). Nothing else of `old` survives.
    """
    if old is None or new.state == PENDING:
        return new
    return msgspec.structs.replace(new, task_name=old.task_name, created_at_text=old.created_at_text)
