"""The functions that a view calls: they look the server up and call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from asgiref.sync import sync_to_async

from django_machinery import control
from django_machinery.declare import SendOptions
from django_machinery.handler import servers
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.workflows import Chain, Chord, Group
from django_machinery.results import AsyncResult, ChainResult, ChordResult, GroupResult
from django_machinery.server import Server


def send_task(
    task: Signature | str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[SendOptions],
) -> AsyncResult[Any]:
    """Send a signature, or a task by its name alone, which need not be registered here.

    Arguments are typed by their Python values. Returns at once; raises as `Task.send`: a task that is known here is
    not sent with a keyword that it does not take, which its worker would take for a position, as Go does.
    """
    server, database, changes = _split(options)
    if isinstance(task, str):
        signature = _by_name(servers[server], task, args, kwargs or {})
    elif isinstance(task, Signature):
        signature = task
    else:
        raise TypeError(f"send_task takes a signature or the name of a task, not {task!r}: a task has .send(...)")
    return servers[server].send_task(signature.replace(**changes) if changes else signature, database=database)


def send_chain(*steps: Signature | Chain, server: str = "default", database: str | None = None) -> ChainResult:
    """Send signatures that run one after the other, each with the results of the one before appended to its arguments.

    Takes signatures or one `Chain`.
    """
    chain = steps[0] if len(steps) == 1 and isinstance(steps[0], Chain) else Chain(*steps)  # type: ignore[arg-type]
    return servers[server].send_chain(chain, database=database)


def send_group(
    *members: Signature | Group, send_concurrency: int = 0, server: str = "default", database: str | None = None
) -> GroupResult:
    """Send signatures that run side by side. Takes signatures or one `Group`."""
    group = members[0] if len(members) == 1 and isinstance(members[0], Group) else Group(*members)  # type: ignore[arg-type]
    return servers[server].send_group(group, send_concurrency, database=database)


def send_chord(
    chord: Chord, *, send_concurrency: int = 0, server: str = "default", database: str | None = None
) -> ChordResult:
    """Send a group with a callback that gets the members' results."""
    return servers[server].send_chord(chord, send_concurrency, database=database)


def cancel_task(uuid: str, *, server: str = "default", by: str = "", hard: bool = False) -> None:
    """Ask that a task ends: one that waits will not run, one that runs is asked to stop, as `control.cancel` says.

    With `hard` a running task is ended together with its process. `by` says who asked, for operators.
    """
    control.cancel(servers[server], [uuid], by, hard=hard)


async def asend_task(
    task: Signature | str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[SendOptions],
) -> AsyncResult[Any]:
    """`send_task`, for async code."""
    return await sync_to_async(send_task)(task, args, kwargs, **options)


def _split(options: SendOptions) -> tuple[str, str | None, dict[str, Any]]:
    changes: dict[str, Any] = {**options}
    return changes.pop("server", "default"), changes.pop("database", None), changes


def _by_name(server: Server, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Signature:
    definition = server.registry.find(name)
    if definition is not None:
        definition.parameters.refuse_unknown(kwargs)
    positional = [Arg.of(value) for value in args]
    return Signature(name=name, args=(*positional, *(Arg.of(value, name=key) for key, value in kwargs.items())))
