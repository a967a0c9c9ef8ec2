"""Between the seams' objects and rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from django_machinery.models import Message
from django_machinery.models.clock import aware
from django_machinery.models.sql.rows import NewMessage, NewTask, Step
from django_machinery.protocol import headers
from django_machinery.protocol.codec import Limits, encode_signature
from django_machinery.protocol.states import RETRY, TaskResult
from django_machinery.protocol.states import TaskState as WireState
from django_machinery.protocol.times import format_time

if TYPE_CHECKING:
    from django_machinery.models.task_state import WireRow
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import StateChange

_encode_results = msgspec.json.Encoder().encode
_decode_results = msgspec.json.Decoder(tuple[TaskResult, ...]).decode


def body_of(signature: Signature, limits: Limits) -> str:
    """The message as it travels. EncodeError for one that no worker with these limits would read."""
    return encode_signature(signature, limits).decode()


def new_message(signature: Signature, body: str, now: datetime) -> NewMessage:
    """The row of a message; one whose time has not come waits for it (amqp.go:196: strictly after now)."""
    eta = signature.eta if signature.eta_text is not None else None
    if eta is not None and eta > now:
        status, due_at = Message.Status.LATER.value, eta
    else:
        status, due_at = Message.Status.READY.value, None
    return NewMessage(signature.uuid, signature.queue, signature.name, status, -signature.priority, due_at, body)


def new_task(change: StateChange, server: str, body: str) -> NewTask:
    """The row of a task that has not run yet."""
    signature = change.signature
    return NewTask(
        signature.uuid,
        server,
        signature.name,
        signature.queue,
        signature.priority,
        body,
        signature.eta if signature.eta_text is not None else None,
        signature.group_uuid or None,
        change.group_index,
        change.parent_uuid or headers.parent_uuid(signature) or None,
    )


def step(change: StateChange) -> Step:
    """What a change writes into the row of its task."""
    attempt = change.attempt
    return Step(
        change.signature.uuid,
        change.state,
        None if change.results is None else _encode_results(change.results).decode(),
        change.error,
        change.reason,
        attempt.traceback if attempt is not None else "",
        attempt.number + (change.state == RETRY) if attempt is not None else None,
        change.worker,
        change.received_at,
        change.started_at,
        change.finished_at,
    )


def wire_state(row: WireRow) -> WireState:
    """A task's state as it travels."""
    return WireState(
        task_uuid=row.uuid,
        task_name=row.name,
        state=row.state,
        results=results_of(row.results),
        error=row.error,
        created_at_text=time_text(row.created_at),
    )


def results_of(text: str | None) -> tuple[TaskResult, ...] | None:
    """The results of a task; None until it has succeeded."""
    return None if text is None else _decode_results(text)


def time_text(moment: datetime) -> str:
    """A stored time as it travels."""
    return format_time(aware(moment))
