"""The result backend on a Django database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import connections, transaction

from django_machinery import conf
from django_machinery.conf import parse_url
from django_machinery.drivers.orm.checks import check_database
from django_machinery.drivers.orm.counting import count_states
from django_machinery.drivers.orm.retention import Retention
from django_machinery.drivers.orm.rows import body_of, time_text, wire_state
from django_machinery.drivers.orm.states import StateWriter
from django_machinery.drivers.orm.store import retried, translated
from django_machinery.exceptions import BackendError, BackendRefused, BackendUnavailable, DecodeError
from django_machinery.models import GroupMeta, TaskState
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.states import GroupMeta as WireGroup
from django_machinery.protocol.states import TaskState as WireState
from django_machinery.seams.backend import GroupProgress, ResultBackend, StateChange, pause_after

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature

VERSION_INTERVAL = 0.002
LOOK_AT_ONCE = 50
"""Of how many unfinished tasks one look asks."""


class OrmBackend(ResultBackend):
    """States are rows: `orm://alias`. What is written in a transaction of that alias is part of it."""

    supports_listing: ClassVar = True
    keeps_signatures: ClassVar = True
    keeps_attempts: ClassVar = True
    supports_transactions: ClassVar = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._alias = parse_url(url)[1]
        self.store = ("orm", self._alias)
        self._tasks = TaskState.objects.db_manager(self._alias)
        self._groups = GroupMeta.objects.db_manager(self._alias)
        self._writer = StateWriter(self._alias, config.alias, config.limits)
        self._retention = Retention(self._alias, config.results_expire_in)

    def set_states(self, changes: Sequence[StateChange]) -> list[bool]:
        latest = {change.uuid: change for change in changes}
        if not latest:
            return []
        with self._errors():
            won = retried(self._alias, lambda: self._write(list(latest.values())))
        return [change.uuid in won for change in changes]

    def get_states(self, uuids: Sequence[str]) -> list[WireState | None]:
        with self._errors():
            rows = self._tasks.of(uuids)
        return [wire_state(rows[uuid]) if uuid in rows else None for uuid in uuids]

    def signatures(self, uuids: Sequence[str]) -> list[Signature | None]:
        with self._errors():
            texts = self._tasks.signatures(uuids)
        return [self._signature(texts.get(uuid, "")) for uuid in uuids]

    def list_states(
        self, limit: int, before: datetime | None = None, state: str = "", name: str = ""
    ) -> list[WireState]:
        wanted = {column: value for column, value in (("state", state), ("name", name)) if value}
        with self._errors():
            rows = self._tasks.wire_rows(self._tasks.newest(self.config.alias, before).filter(**wanted)[:limit])
        return [wire_state(row) for row in rows]

    def count_states(self) -> dict[str, int]:
        with self._errors():
            return count_states(self._alias, self.config.alias if self._is_shared else None)

    def wait(self, uuids: Sequence[str], timeout: float) -> list[WireState | None]:
        with self._errors():
            self._wait(list(uuids), time.monotonic() + timeout)
        return self.get_states(uuids)

    def init_group(self, group_uuid: str, uuids: Sequence[str], callback: Signature | None = None) -> None:
        with self._errors():
            if callback is None:
                self._groups.start(group_uuid, len(uuids), None, None)
            else:
                self._groups.start(group_uuid, len(uuids), callback.uuid, body_of(callback, self.config.limits))

    def get_group(self, group_uuid: str) -> WireGroup | None:
        with self._errors():
            group = self._groups.filter(uuid=group_uuid).first()
            if group is None:
                return None
            members = tuple(self._tasks.members(group_uuid).values_list("uuid", flat=True))
        return WireGroup(
            group_uuid=group.uuid,
            task_uuids=members,
            chord_triggered=group.triggered_by is not None,
            created_at_text=time_text(group.created_at),
        )

    def group_progress(self, group_uuid: str) -> GroupProgress | None:
        with self._errors():
            group = self._groups.filter(uuid=group_uuid).first()
        return None if group is None else GroupProgress(group.total - group.remaining, group.failed, group.total)

    def group_task_states(self, group_uuid: str, count: int) -> list[WireState]:
        with self._errors():
            return [wire_state(row) for row in self._tasks.wire_rows(self._tasks.members(group_uuid)[:count])]

    def trigger_chord(self, group_uuid: str, by: str) -> bool:
        with self._errors():
            return retried(self._alias, lambda: self._groups.trigger(group_uuid, by))

    def purge(self, uuids: Sequence[str]) -> None:
        with self._errors():
            self._tasks.purge(uuids)

    def purge_group(self, group_uuid: str) -> None:
        with self._errors():
            self._groups.filter(uuid=group_uuid).delete()

    def expire(self, limit: int = 1000) -> int:
        with self._errors():
            return retried(self._alias, lambda: self._retention.sweep(limit))

    def check(self) -> list[CheckMessage]:
        return check_database(self._alias)

    @cached_property
    def _is_shared(self) -> bool:
        """Do the settings name another server that keeps its states in this database?"""
        others = [alias for alias in conf.aliases() if alias != self.config.alias]
        return any(conf.server_config(alias).result_backend == self.url for alias in others)

    def _signature(self, text: str) -> Signature | None:
        try:
            return decode_signature(text.encode(), self.config.limits)
        except DecodeError:
            return None

    def _write(self, changes: list[StateChange]) -> set[str]:
        with transaction.atomic(using=self._alias):
            return self._writer.write(changes)

    def _wait(self, uuids: list[str], end: float) -> None:
        """Ask after a few unfinished tasks at a time: what is asked in all does not grow with the time waited."""
        started = time.monotonic()
        while uuids:
            first, later = uuids[:LOOK_AT_ONCE], uuids[LOOK_AT_ONCE:]
            version = self._version()
            unfinished = self._tasks.unfinished(first)
            if not unfinished:
                uuids = later
            elif time.monotonic() >= end:
                return
            else:
                uuids = [*unfinished, *later]
                self._pause(started, end, version)

    def _pause(self, started: float, end: float, version: Any) -> None:
        """Until it may be worth looking again, at the latest until `end`."""
        now = time.monotonic()
        if version is None:
            time.sleep(max(min(pause_after(now - started), end - now), 0))
        while version is not None and time.monotonic() < end and self._version() == version:
            time.sleep(VERSION_INTERVAL)

    def _version(self) -> Any:
        """SQLite: something that changes with each commit by another connection, to be had without reading a table."""
        connection = connections[self._alias]
        if connection.vendor != "sqlite":
            return None
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            return cursor.fetchone()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with translated(self._alias, BackendUnavailable, BackendError, BackendRefused):
            yield
