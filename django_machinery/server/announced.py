"""Which tasks are announced with a message: PENDING for it and for all that it may send, so that no step is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature


def with_later_steps(signature: Signature, group_index: int | None = None) -> list[StateChange]:
    """PENDING for a signature and for all that its success will send."""
    changes = [StateChange(signature, PENDING, group_index=group_index)]
    parents = [signature]
    while parents:
        parent = parents.pop()
        for step in parent.success_callbacks:
            changes.append(StateChange(step, PENDING, parent_uuid=parent.uuid))
            parents.append(step)
    return changes


def absent(signatures: Sequence[Signature]) -> list[StateChange]:
    """PENDING for signatures that may have been sent before: only where there is no state yet."""
    return [StateChange(signature, PENDING, if_absent=True) for signature in signatures]


def with_all_that_follow(signatures: Sequence[Signature]) -> list[StateChange]:
    """The same for signatures of which nobody knows whether they were announced, with their later steps and the
    callbacks of their chords."""
    first = {change.uuid: change for signature in signatures for change in _announced_by(signature)}
    return [replace(change, if_absent=True) for change in first.values()]


def _announced_by(signature: Signature) -> Iterator[StateChange]:
    yield from with_later_steps(signature)
    if signature.chord_callback is not None:
        yield from with_later_steps(signature.chord_callback)
