"""What tasks there are: frozen definitions under their names. A name on the wire is only ever looked up here."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict
from zoneinfo import ZoneInfo

from django_machinery import cron
from django_machinery.exceptions import ConfigurationError, TaskAlreadyRegistered, TaskNotRegistered
from django_machinery.protocol.parameters import Parameters
from django_machinery.protocol.signature import Signature


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A callable and how it wants to be sent and run."""

    name: str
    func: Callable[..., Any]
    aliases: tuple[str, ...] = ()
    """Further names that messages may carry; what was sent before a rename."""
    server: str = "default"
    queue: str = ""
    """Empty: the server's default queue."""
    retry_count: int = 0
    retry_timeout: int = 0
    """Seconds; the first retry waits for the next Fibonacci number above it (Go: worker.go:204)."""
    timeout: float | None = None
    hard_timeout: float | None = None
    priority: int = 0
    immutable: bool = False
    takes_context: bool = False
    atomic: bool = False
    sensitive: tuple[str, ...] = ()
    """Parameters whose values must not be shown."""
    parameters: Parameters = field(init=False)
    is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "parameters", Parameters(self.func, skip_first=self.takes_context, sensitive=self.sensitive)
        )
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.func))

    @property
    def path(self) -> str:
        """Where the callable is defined, as a dotted path."""
        return f"{self.func.__module__}.{self.func.__qualname__}"


class PeriodicOptions(TypedDict, total=False):
    """What a periodic task may say of itself; the defaults are those of `PeriodicDefinition`."""

    timezone: str
    missed: Literal["skip", "one", "all"]
    catch_up: int | None
    dst_gap: Literal["skip", "next"]
    dst_overlap: Literal["first", "both"]
    run_overlap: Literal["allow", "skip"]
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class PeriodicDefinition:
    """A schedule that is declared in code. Raises CronError or ConfigurationError for one that makes no sense."""

    name: str
    spec: str
    kind: Literal["task", "group", "chain", "chord"]
    signatures: tuple[Signature, ...]
    """The last one of a chord is its callback."""
    server: str = "default"
    timezone: str = ""
    """IANA name; empty: the project's TIME_ZONE."""
    missed: str = "one"
    """What becomes of ticks at which no scheduler was there: skip, one (run for all of them) or all."""
    catch_up: int | None = None
    """Seconds: how old a missed tick may be to be made up for; None: any age."""
    dst_gap: str = cron.GAP_NEXT
    dst_overlap: str = cron.OVERLAP_FIRST
    run_overlap: str = "allow"
    """Whether a tick is sent while the run before has not ended: allow or skip."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def __post_init__(self) -> None:
        cron.parse(self.spec)
        try:
            cron.DstPolicy(gap=self.dst_gap, overlap=self.dst_overlap)  # type: ignore[arg-type]
            ZoneInfo(self.timezone or "UTC")
        except (KeyError, ValueError, OSError) as error:
            raise ConfigurationError(f"The schedule {self.name!r} cannot be used: {error}") from error
        for option, words in (("missed", ("skip", "one", "all")), ("run_overlap", ("allow", "skip"))):
            if getattr(self, option) not in words:
                raise ConfigurationError(f"The schedule {self.name!r}: {option} should be one of {', '.join(words)}")


class Registry:
    """Definitions by name and alias; what is not found here is looked up in `parent`."""

    def __init__(self, parent: Registry | None = None) -> None:
        self._parent = parent
        self._by_name: dict[str, TaskDefinition] = {}
        self._periodic: dict[tuple[str, str], PeriodicDefinition] = {}
        self._lock = threading.Lock()
        self.clashes: list[tuple[str, str, str]] = []
        """(name, path that has it, path that wanted it too), for `manage.py check`."""
        self.unreadable: dict[str, str] = {}
        """Schedules whose specs cannot be read without a library that is not installed, and the error that says so; for
        `manage.py check`, which every worker runs."""

    def register(self, definition: TaskDefinition) -> None:
        """Add a definition under its name and aliases, all or none.

        The same callable may be registered again, as a reload does. Raises `TaskAlreadyRegistered` for another one.
        """
        names = (definition.name, *definition.aliases)
        with self._lock:
            for name in names:
                self._refuse_clash(name, definition)
            self._by_name.update(dict.fromkeys(names, definition))

    def register_periodic(self, definition: PeriodicDefinition) -> None:
        """Add a schedule, or replace that of the same server and name."""
        self._periodic[definition.server, definition.name] = definition

    def periodic(self, server: str) -> list[PeriodicDefinition]:
        """The schedules of a server, the parent's included, by name."""
        inherited = self._parent.periodic(server) if self._parent is not None else []
        own = [definition for (alias, _), definition in self._periodic.items() if alias == server]
        return sorted({d.name: d for d in (*inherited, *own)}.values(), key=lambda d: d.name)

    def find(self, name: str) -> TaskDefinition | None:
        """The definition of that name or alias, or None."""
        definition = self._by_name.get(name)
        if definition is None and self._parent is not None:
            return self._parent.find(name)
        return definition

    def get(self, name: str) -> TaskDefinition:
        """Like `find`, but raises `TaskNotRegistered`."""
        definition = self.find(name)
        if definition is None:
            raise TaskNotRegistered(f"No task named {name!r} is registered here")
        return definition

    @property
    def names(self) -> frozenset[str]:
        """All names and aliases, the parent's included."""
        inherited = self._parent.names if self._parent is not None else frozenset()
        return inherited | frozenset(self._by_name)

    @property
    def definitions(self) -> list[TaskDefinition]:
        """Every definition once, by name."""
        return sorted({id(d): d for d in map(self.get, self.names)}.values(), key=lambda d: d.name)

    def _refuse_clash(self, name: str, definition: TaskDefinition) -> None:
        present = self._by_name.get(name)
        if present is not None and present.path != definition.path:
            self.clashes.append((name, present.path, definition.path))
            raise TaskAlreadyRegistered(
                f"{definition.path} cannot be registered as {name!r}: {present.path} has that name"
            )


tasks = Registry()
"""What @task declares; every server's own registry falls back to it."""
