"""Chains, groups and chords, and the UUIDs of what they are made of (tasks/workflow.go:38-90).

What a user gives is never changed: every send builds new signatures from it, so a workflow may be sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias
from uuid import UUID, uuid5

from django_machinery.exceptions import EncodeError
from django_machinery.protocol import headers
from django_machinery.protocol.names import go_name
from django_machinery.protocol.signature import Signature, SignatureChanges
from django_machinery.protocol.time_uuid import time_uuid

MAX_CHAIN = 200
"""Steps: each is nested in the one before it, and messages are bounded in depth."""

_FOLLOW_UPS = UUID("0e3f9a52-6a3d-5f0b-9c61-4d6f0a2b7e18")
"""The namespace of UUIDs that are derived. Changing it would send follow-ups twice after a crash."""


class Chain(tuple[Signature, ...]):
    """Tasks to run one after the other, each with the results of the one before it appended to its arguments.

    Chain, Group and Chord raise `TypeError` for what is no signature.
    """

    __slots__ = ()

    def __new__(cls, *signatures: Signature) -> Self:
        return super().__new__(cls, map(_signature, signatures))


class Group(tuple[Signature, ...]):
    """Tasks to run at the same time."""

    __slots__ = ()

    def __new__(cls, *signatures: Signature) -> Self:
        return super().__new__(cls, map(_signature, signatures))


@dataclass(frozen=True, slots=True)
class Chord:
    """A group, and a callback that runs with the results of all its members when all have succeeded.

    When a member fails, the signatures in `on_error` run; they do too when the callback fails.
    """

    group: Group
    callback: Signature
    on_error: Sequence[Signature] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.group, Group):
            raise TypeError(f"a Chord takes a Group and a signature, not {self.group!r}")
        _signature(self.callback)


def link(chain: Chain) -> tuple[Signature, ...]:
    """The steps of a chain: the first is sent and carries the others, each as a success callback of the one before it.

    A step's own success callbacks stay beside the next step (Go drops them). EncodeError over MAX_CHAIN steps, or for
    two of one UUID.
    """
    if len(chain) > MAX_CHAIN:
        raise EncodeError(f"a chain of {len(chain)} steps; the limit is {MAX_CHAIN}")
    _refuse_twice("chain", chain)
    steps: list[Signature] = []
    for signature in reversed(chain):
        step = with_uuid(signature)
        if steps:
            step = step.replace(on_success=(steps[-1], *step.success_callbacks))
        steps.append(step)
    if steps:
        steps[-1] = _with_headers(steps[-1])
    return tuple(reversed(steps))


def members(group: Group) -> tuple[Signature, ...]:
    """The members as they are sent, under a group UUID that is new each time. None for a group without members.

    EncodeError for two of one UUID.
    """
    _refuse_twice("group", group)
    uuid = new_uuid("group")
    return tuple(
        _with_headers(with_uuid(signature)).replace(group_uuid=uuid, group_task_count=len(group)) for signature in group
    )


def chord_members(chord: Chord) -> tuple[Signature, tuple[Signature, ...]]:
    """The callback and the members of a chord as they are sent; each member carries the callback.

    EncodeError for two of one UUID.
    """
    _refuse_twice("chord", (*chord.group, chord.callback))
    callback = _with_headers(with_uuid(chord.callback, "chord"))
    if chord.on_error:
        callback = callback.replace(on_error=(*callback.error_callbacks, *chord.on_error))
    return callback, tuple(member.replace(chord_callback=callback) for member in members(chord.group))


def complete(signature: Signature, default_queue: str) -> Signature:
    """A copy with all that a message needs (server.go:155-166): a UUID, headers, a queue, and UUIDs all the way down.

    EncodeError if callbacks nest too deep to be walked through, or a field holds what no worker could read.
    """
    signature.check()
    missing: SignatureChanges = {}
    if not signature.uuid:
        missing["uuid"] = new_uuid()
    if not signature.queue:
        missing["queue"] = default_queue
    if signature.headers is None:
        missing["headers"] = {}
    return _walk(signature.replace(**missing) if missing else signature, _derived)


def with_uuid(signature: Signature, prefix: str = "task") -> Signature:
    """The signature, with a new UUID if it has none."""
    return signature if signature.uuid else signature.replace(uuid=new_uuid(prefix))


def new_uuid(prefix: str = "task") -> str:
    """A UUID in the form of the original's, in the order of time (`time_uuid`)."""
    return f"{prefix}_{time_uuid()}"


def deterministic_uuid(parent_uuid: str, position: str) -> str:
    """The UUID of a follow-up that came without: the same each time its parent ends, so that a crash sends none twice.

    `position` is the field and the index in it: "OnSuccess/0".
    """
    return f"task_{uuid5(_FOLLOW_UPS, f'{parent_uuid}/{position}')}"


def with_follow_up_uuids(signature: Signature) -> Signature:
    """A copy whose callbacks (OnSuccess, OnError, ChordCallback) all have a UUID, derived where it is missing.

    One level: call it again for a callback when its turn comes.
    """
    return _with_callbacks(signature, _derived)


def remint(signature: Signature) -> Signature:
    """A copy for running a task again that has ended: its own UUID, but new ones for all that it triggers.

    Its `generation` is the next one; attempts and retries asked for are counted anew.
    """
    return headers.next_generation(_walk(signature, _minted))


def forget_uuids(signature: Signature) -> Signature:
    """A copy without UUIDs at any level: each sending of it is another task, with other follow-ups."""
    return _walk(signature.replace(uuid=""), _forgotten)


def _signature(given: Signature) -> Signature:
    if not isinstance(given, Signature):
        raise TypeError(f"{given!r} is no signature: a task's .signature(...) or .partial(...) is")
    return given


def _refuse_twice(kind: str, signatures: Sequence[Signature]) -> None:
    """Two tasks of one UUID would be one task, whose end is counted once."""
    seen: set[str] = set()
    for uuid in filter(None, (signature.uuid for signature in signatures)):
        if uuid in seen:
            raise EncodeError(f"two tasks of a {kind} have the UUID {uuid!r}")
        seen.add(uuid)


_Rename: TypeAlias = Callable[[Signature, str, Signature], str]
"""(parent, position, callback) -> the UUID that the callback shall have."""


def _derived(parent: Signature, position: str, callback: Signature) -> str:
    return callback.uuid or deterministic_uuid(parent.uuid, position)


def _minted(parent: Signature, position: str, callback: Signature) -> str:
    return new_uuid("chord" if position == "ChordCallback" else "task")


def _forgotten(parent: Signature, position: str, callback: Signature) -> str:
    return ""


def _walk(signature: Signature, rename: _Rename) -> Signature:
    try:
        return _with_callbacks(signature, rename, recurse=True)
    except RecursionError as error:
        raise EncodeError("callbacks nest too deep") from error


def _with_callbacks(signature: Signature, rename: _Rename, recurse: bool = False) -> Signature:
    """The signature with its callbacks renamed; itself when they all keep their names."""

    def renamed(position: str, callback: Signature) -> Signature:
        uuid = rename(signature, position, callback)
        if uuid != callback.uuid:
            callback = callback.replace(uuid=uuid)
        return _with_callbacks(callback, rename, recurse) if recurse else callback

    changes: SignatureChanges = {}
    for field in ("on_success", "on_error"):
        callbacks = getattr(signature, field)
        found = [each and renamed(f"{go_name(field)}/{index}", each) for index, each in enumerate(callbacks or ())]
        if any(new is not old for new, old in zip(found, callbacks or (), strict=True)):
            changes[field] = tuple(found)
    if signature.chord_callback is not None:
        callback = renamed("ChordCallback", signature.chord_callback)
        if callback is not signature.chord_callback:
            changes["chord_callback"] = callback
    return signature.replace(**changes) if changes else signature


def _with_headers(signature: Signature) -> Signature:
    """Go's tracing leaves an empty map on what it sends (tracing/tracing.go:44)."""
    return signature.replace(headers={}) if signature.headers is None else signature
