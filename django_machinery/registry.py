"""What tasks there are: frozen definitions under their names. A name on the wire is only ever looked up here."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict
from zoneinfo import ZoneInfo

from django_machinery import cron
from django_machinery.exceptions import ConfigurationError, TaskAlreadyRegistered, TaskNotRegistered
from django_machinery.protocol.parameters import Parameters
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.storable import storable

LONGEST_NAME = 190
LONGEST_SPEC = 255
"""Characters of a schedule's name and spec, which its row and its key in a lock have room for."""
LARGEST = 2**31 - 1
FEWEST = {"task": 1, "group": 1, "chain": 1, "chord": 2}
"""Signatures of each kind of schedule; of a task there are no more."""


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A callable and how it wants to be sent and run. Raises ConfigurationError for options that make no sense."""

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
        for option in ("aliases", "sensitive"):
            object.__setattr__(self, option, _names(self, option))
        for option, (fits, words) in _OPTIONS.items():
            if not fits(getattr(self, option)):
                raise _wrong(self, f"{option} should be {words}, not {getattr(self, option)!r}")
        if self.timeout is not None and self.hard_timeout is not None and self.hard_timeout < self.timeout:
            raise _wrong(self, f"hard_timeout={self.hard_timeout:g} ends it before timeout={self.timeout:g} can")
        object.__setattr__(
            self, "parameters", Parameters(self.func, skip_first=self.takes_context, sensitive=self.sensitive)
        )
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.func))

    @property
    def path(self) -> str:
        """Where the callable is defined, as a dotted path."""
        return f"{self.func.__module__}.{self.func.__qualname__}"


def _names(definition: TaskDefinition, option: str) -> tuple[str, ...]:
    given = getattr(definition, option)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise _wrong(definition, f"{option} should be a list of names, not {given!r}")
    names = tuple(given)
    if not all(isinstance(name, str) for name in names):
        raise _wrong(definition, f"{option} should be a list of names, not {given!r}")
    return names


def _wrong(definition: TaskDefinition, text: str) -> ConfigurationError:
    return ConfigurationError(f"The task {definition.name!r}: {text}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object, most: int = 2**63 - 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_time_limit(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)


_OPTIONS: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (lambda value: _is_text(value) and value != "", "a text"),
    **dict.fromkeys(("server", "queue"), (_is_text, "a text")),
    **dict.fromkeys(("retry_count", "retry_timeout"), (_is_count, "a whole number from 0")),
    **dict.fromkeys(("timeout", "hard_timeout"), (_is_time_limit, "a number of seconds above 0, or None")),
    "priority": (lambda value: _is_count(value, 255), "a whole number from 0 to 255"),
    **dict.fromkeys(("immutable", "takes_context", "atomic"), (_is_flag, "True or False")),
}
"""What the options of a task may be, and how to say so."""


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
        if fault := next(self._faults(), ""):
            raise ConfigurationError(f"The schedule {self.name[:LONGEST_NAME]!r} cannot be used: {fault}")

    def _faults(self) -> Iterator[str]:
        """What its row could not hold, or no scheduler could send."""
        for text, longest in ((self.name, LONGEST_NAME), (self.spec, LONGEST_SPEC)):
            if not text or len(text) > longest or storable(text) != text:
                yield f"its name and its spec are text of 1 to {longest} characters that every store can hold"
        try:
            cron.DstPolicy(gap=self.dst_gap, overlap=self.dst_overlap)  # type: ignore[arg-type]
            ZoneInfo(self.timezone or "UTC")
        except (KeyError, ValueError, OSError) as error:
            yield str(error)
        for option, words in (("missed", ("skip", "one", "all")), ("run_overlap", ("allow", "skip"))):
            if getattr(self, option) not in words:
                yield f"{option} should be one of {', '.join(words)}"
        if self.catch_up is not None and not 0 <= self.catch_up <= LARGEST:
            yield f"catch_up should be seconds, from 0 to {LARGEST}"
        if len(self.signatures) < FEWEST[self.kind] or (self.kind == "task" and len(self.signatures) > 1):
            yield f"a {self.kind} of {len(self.signatures)} signatures is none"
        moments = [moment for moment in (self.starts_at, self.ends_at) if moment is not None]
        if any(moment.utcoffset() is None for moment in moments):
            yield "starts_at and ends_at need a zone"
        elif len(moments) == 2 and moments[0] > moments[1]:
            yield "it ends before it starts"


class Registry:
    """Definitions by name and alias; what is not found here is looked up in `parent`."""

    def __init__(self, parent: Registry | None = None) -> None:
        self._parent = parent
        self._by_name: dict[str, TaskDefinition] = {}
        self._periodic: dict[tuple[str, str], PeriodicDefinition] = {}
        self._decorated: dict[tuple[str, str], TaskDefinition] = {}
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

    def register_periodic(self, definition: PeriodicDefinition, task: TaskDefinition | None = None) -> None:
        """Add a schedule, or replace that of the same server and name.

        `task`: whose decorator declares it. Of decorators only a reload may do so again: raises `ConfigurationError`
        for another one of the same name.
        """
        key = (definition.server, definition.name)
        if task is not None:
            present = self._decorated.get(key) if key in self._periodic else None
            if present is not None and (present is task or present.path != task.path):
                raise ConfigurationError(
                    f"{task.path} has a schedule {definition.name!r}, and so has {present.path}: give one another name="
                )
            self._decorated[key] = task
        self._periodic[key] = definition

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


def _unknown(server: str) -> Registry | None:
    return None


of_server: Callable[[str], Registry | None] = _unknown
"""What is registered on the server of an alias; None where nobody can tell. The handler, which is above this layer,
installs it. Raises `ConfigurationError` for an alias that the settings do not have."""
