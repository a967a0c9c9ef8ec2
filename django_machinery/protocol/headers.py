"""What Go's signature has no field for, as headers: Go drops unknown fields, but sends headers on.

Always strings: a Go worker cannot send a numeric AMQP header on. What cannot be read counts as missing.
"""

from __future__ import annotations

from django_machinery.protocol.signature import Signature

PREFIX = "machinery-"

_ATTEMPT = PREFIX + "attempt"
_GENERATION = PREFIX + "generation"
_LATER_COUNT = PREFIX + "later-count"
_PARENT_UUID = PREFIX + "parent-uuid"
_SCHEDULE_ID = PREFIX + "schedule-id"
_TRACE_ID = PREFIX + "trace-id"


def attempt(signature: Signature) -> int:
    """Which run of the task this message asks for: 1 is the first."""
    return _number(signature, _ATTEMPT, 1)


def with_attempt(signature: Signature, number: int) -> Signature:
    return _with(signature, _ATTEMPT, str(number))


def generation(signature: Signature) -> int:
    """How often the task was started anew on somebody's wish after it had ended."""
    return _number(signature, _GENERATION, 0)


def next_generation(signature: Signature) -> Signature:
    """The signature of the next generation, in which attempts and postponements are counted anew."""
    kept = {key: value for key, value in (signature.headers or {}).items() if key not in (_ATTEMPT, _LATER_COUNT)}
    return signature.replace(headers={**kept, _GENERATION: str(generation(signature) + 1)})


def later_count(signature: Signature) -> int:
    """How often the task has asked to be run later (`RetryLater`)."""
    return _number(signature, _LATER_COUNT, 0)


def with_later_count(signature: Signature, count: int) -> Signature:
    return _with(signature, _LATER_COUNT, str(count))


def trace_id(signature: Signature) -> str:
    """What ties together the tasks that one request or tick has set off; empty if unknown."""
    return _text(signature, _TRACE_ID)


def with_trace_id(signature: Signature, trace: str) -> Signature:
    return _with(signature, _TRACE_ID, trace)


def parent_uuid(signature: Signature) -> str:
    """The UUID of the task that sent this one; empty if none did."""
    return _text(signature, _PARENT_UUID)


def with_parent_uuid(signature: Signature, uuid: str) -> Signature:
    return _with(signature, _PARENT_UUID, uuid)


def schedule_id(signature: Signature) -> str:
    """The schedule whose tick sent this task; empty if none did."""
    return _text(signature, _SCHEDULE_ID)


def with_schedule_id(signature: Signature, schedule: str) -> Signature:
    return _with(signature, _SCHEDULE_ID, schedule)


def _text(signature: Signature, name: str) -> str:
    value = signature.headers.get(name, "") if signature.headers else ""
    return value if isinstance(value, str) else ""


def _number(signature: Signature, name: str, default: int) -> int:
    text = _text(signature, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default


def _with(signature: Signature, name: str, value: str) -> Signature:
    return signature.replace(headers={**(signature.headers or {}), name: value})
