"""`@task`: from a callable to something that can be sent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Self, TypedDict, TypeVar, Unpack, cast, overload

from asgiref.sync import sync_to_async

from django_machinery.exceptions import ConfigurationError, TaskAlreadyRegistered
from django_machinery.handler import servers
from django_machinery.protocol.signature import Signature
from django_machinery.registry import PeriodicDefinition, PeriodicOptions, TaskDefinition, tasks
from django_machinery.results import AsyncResult
from django_machinery.worker.context import TaskContext

P = ParamSpec("P")
R = TypeVar("R")


class TaskOptions(TypedDict, total=False):
    """What `@task` takes. Seconds are numbers; `retry_timeout` is whole seconds, as on the wire."""

    name: str
    """On the wire; default: the dotted path of the callable."""
    aliases: Iterable[str]
    server: str
    queue: str
    retry_count: int
    retry_timeout: int
    timeout: float | None
    hard_timeout: float | None
    priority: int
    immutable: bool
    atomic: bool
    sensitive: Iterable[str]


class SendOptions(TypedDict, total=False):
    """What `Task.using` takes: how one send differs from the task's declaration."""

    uuid: str
    server: str
    database: str
    """The alias whose transaction the send waits for; default: the server's DATABASE."""
    queue: str
    eta: datetime | timedelta | None
    priority: int
    retry_count: int
    retry_timeout: int
    immutable: bool
    headers: Mapping[str, str]
    on_success: Iterable[Signature]
    on_error: Iterable[Signature]
    ignore_when_task_not_registered: bool
    stop_task_deletion_on_error: bool
    broker_message_group_id: str


@dataclass(frozen=True)
class Sendable(Generic[P, R]):
    """What plain and `async def` tasks share: a definition, and how to send it."""

    definition: TaskDefinition
    options: SendOptions

    @property
    def name(self) -> str:
        """The name on the wire."""
        return self.definition.name

    def using(self, **options: Unpack[SendOptions]) -> Self:
        """A copy that sends with these options, which never mix with the task's own keywords."""
        _refuse_unknown(options, SendOptions)
        return replace(self, options=cast(SendOptions, {**self.options, **options}))

    def send(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send the task; the message leaves when the transaction around it commits, outside of one at once.

        Raises `TypeError` for arguments that do not fit, `EncodeError` for a value that has no form on the wire,
        `MessageTooLarge`, `BrokerUnavailable`, `BackendUnavailable`.
        """
        return self._send(self._signature(args, kwargs, partial=False))

    async def asend(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """`send`, for async code."""
        return await sync_to_async(self._send)(self._signature(args, kwargs, partial=False))

    def signature(self, *args: P.args, **kwargs: P.kwargs) -> Signature:
        """The invocation as data, to be sent later or put into a workflow.

        Arguments that a workflow adds (results of a chain or chord, the error of a callback) may be missing; a type
        checker, which cannot know, is told so by `partial`. Raises `TypeError` and `EncodeError` for those given.
        """
        return self._signature(args, kwargs, partial=True)

    def partial(self, *args: Any, **kwargs: Any) -> Signature:
        """`signature` for type checkers too where arguments are to come."""
        return self._signature(args, kwargs, partial=True)

    def _send(self, signature: Signature) -> AsyncResult[R]:
        server = servers[self.options.get("server", self.definition.server)]
        return server.send_task(signature, database=self.options.get("database"))

    def _signature(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, partial: bool) -> Signature:
        definition = self.definition
        base = Signature(
            name=definition.name,
            queue=definition.queue,
            args=definition.parameters.to_args(args, kwargs, partial=partial),
            priority=definition.priority,
            immutable=definition.immutable,
            retry_count=definition.retry_count,
            retry_timeout=definition.retry_timeout,
        )
        changes = {key: value for key, value in self.options.items() if key not in ("server", "database")}
        return base.replace(**changes) if changes else base  # type: ignore[arg-type]


class Task(Sendable[P, R]):
    """A task. Calling it just runs it, here and now."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast(R, self.definition.func(*_with_context(self, args), **kwargs))


class AsyncTask(Sendable[P, R]):
    """An `async def` task. Calling it gives its coroutine."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return cast(Coroutine[Any, Any, R], self.definition.func(*_with_context(self, args), **kwargs))


class Decorator:
    """`@task(...)` for a callable that takes the arguments as sent."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]]) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, func: Callable[P, R]) -> Task[P, R]: ...
    def __call__(self, func: Callable[..., Any]) -> Any:
        return _declare(func, self._options)


class ContextDecorator:
    """`@task(takes_context=True, ...)`: the first parameter is a `TaskContext`, which no sender passes."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[Concatenate[TaskContext, P], Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[TaskContext, P], R]) -> Task[P, R]: ...
    def __call__(self, func: Callable[..., Any]) -> Any:
        return _declare(func, {**self._options, "takes_context": True})


# A coroutine function is also a function that returns some R: the overlap that mypy tells of is meant, here as above.
@overload
def task(func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
@overload
def task(func: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(*, takes_context: Literal[True], **options: Unpack[TaskOptions]) -> ContextDecorator: ...
@overload
def task(*, takes_context: Literal[False] = False, **options: Unpack[TaskOptions]) -> Decorator: ...
def task(func: Callable[..., Any] | None = None, /, *, takes_context: bool = False, **options: Any) -> Any:
    """Declare a task: `@task`, or `@task(queue="math", retry_count=3, ...)` with `TaskOptions`.

    `retry_count` errors are retried, the first after the Fibonacci number above `retry_timeout` seconds. After
    `timeout` seconds `TaskTimedOut` is raised in the task; after `hard_timeout` its process ends, the task has failed
    and its neighbours run elsewhere. `atomic`: the task's writes and its outcome commit as one, on the ORM broker and
    backend. `sensitive`: parameters whose values are never shown. `aliases`: names it had before.

    Raises `ConfigurationError` for options that make no sense or contradict each other. A name that another callable
    has is left to it and told by `manage.py check`.
    """
    _refuse_unknown(options, TaskOptions)
    if func is not None:
        return _declare(func, options)
    return ContextDecorator(options) if takes_context else Decorator(options)


class PeriodicTaskOptions(PeriodicOptions, total=False):
    """What `@periodic` takes besides the spec."""

    name: str
    """Of the schedule; default: that of the task."""
    args: Iterable[Any]
    kwargs: Mapping[str, Any]


T = TypeVar("T", bound=Sendable[..., Any])


def periodic(spec: str, **options: Unpack[PeriodicTaskOptions]) -> Callable[[T], T]:
    """Send a task whenever `spec` says so: `@periodic("0 6 * * ?")` above `@task`, several times under several names.

    Without the extra `cron`, which all specs but `@every` need, `manage.py check` says so and no worker starts.

    Raises `CronError` for a spec that is refused, `ConfigurationError` for another option and for a name that is taken,
    `TypeError` and `ArgumentError` for arguments that do not fit the task.
    """
    _refuse_unknown(options, PeriodicTaskOptions)
    others: Any = dict(options)
    name, args, kwargs = others.pop("name", ""), others.pop("args", ()), others.pop("kwargs", {})

    def declare(declared: T) -> T:
        if not isinstance(declared, Sendable):
            raise TypeError("@periodic stands above @task")
        definition = declared.definition
        definition.parameters.check(definition.parameters.to_args(tuple(args), kwargs))
        server = declared.options.get("server", definition.server)
        signature = declared.partial(*args, **kwargs)
        try:
            schedule = PeriodicDefinition(name or declared.name, spec, "task", (signature,), server, **others)
        except ConfigurationError as error:
            if not isinstance(error.__cause__, ImportError):
                raise
            # Raised here, it would end every command of the project with a traceback of the import.
            tasks.unreadable[name or declared.name] = str(error)
        else:
            tasks.register_periodic(schedule, definition)
        return declared

    return declare


def _declare(func: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    name = options.get("name") or f"{func.__module__}.{func.__qualname__}"
    definition = TaskDefinition(func=func, **{**options, "name": name})
    with suppress(TaskAlreadyRegistered):
        tasks.register(definition)
    kind: Any = AsyncTask if definition.is_async else Task
    return functools.update_wrapper(kind(definition, SendOptions()), func)


def _refuse_unknown(options: Mapping[str, Any], known: type) -> None:
    for name in options:
        if name not in known.__annotations__:
            raise TypeError(f"there is no option {name!r}; those there are: {', '.join(sorted(known.__annotations__))}")


def _with_context(declared: Sendable[P, Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a direct call; a task that takes a context gets one of its own unless it was passed one."""
    if not declared.definition.takes_context or (args and isinstance(args[0], TaskContext)):
        return args
    return (TaskContext.direct(Signature(name=declared.name)), *args)
