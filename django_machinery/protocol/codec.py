"""Messages as bytes: what Go writes, byte for byte, and what Go reads, within bounds.

A message that is written as Go writes it, which is nearly every one, is decoded by msgspec alone: it is known by being
encoded again to the same bytes. Everything else goes the slow way, through `json_reader` and `tolerant`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol.json_reader import read_json
from django_machinery.protocol.json_text import encode_value, encoder, escape, writable
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import GroupMeta, TaskState
from django_machinery.protocol.times import canonical_time
from django_machinery.protocol.tolerant import build

T = TypeVar("T", Signature, TaskState, GroupMeta)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may take.

    A level is a signature within a signature, or an array or object within one value (an argument, a result, a header):
    both are counted apart, so that a chain may have `max_depth` steps. Elements are all values, at any level.
    """

    max_bytes: int = 4 * 1024 * 1024
    max_depth: int = 200
    max_elements: int = 100_000


DEFAULT_LIMITS = Limits()


def encode_signature(signature: Signature, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The message that Go would send. EncodeError if a header has no form in JSON, or beyond the limits."""
    return _encode(signature, limits)


def decode_signature(data: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Signature:
    """The signature in a message from anywhere. DecodeError, nothing else, if Go refuses it or beyond the limits."""
    return _decode(_SIGNATURES, Signature, data, limits)


def encode_state(state: TaskState, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A task's state as result backends of the original store it."""
    return _encode(state, limits)


def decode_state(data: bytes | str, limits: Limits = DEFAULT_LIMITS) -> TaskState:
    """The reverse of `encode_state`, as tolerant and as bounded as `decode_signature`."""
    return _decode(_STATES, TaskState, data, limits)


def encode_group(group: GroupMeta, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A group's state as result backends of the original store it."""
    return _encode(group, limits)


def decode_group(data: bytes | str, limits: Limits = DEFAULT_LIMITS) -> GroupMeta:
    """The reverse of `encode_group`, as tolerant and as bounded as `decode_signature`."""
    return _decode(_GROUPS, GroupMeta, data, limits)


_SIGNATURES = msgspec.json.Decoder(Signature)
_STATES = msgspec.json.Decoder(TaskState)
_GROUPS = msgspec.json.Decoder(GroupMeta)

_SCALAR = (
    rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    rb"|\"[ !#-%'-;=?-\[\]-\x7f]*+\""  # none of " \ < > & and nothing beyond ASCII
    rb"|true|false|null"
)
_simple = re.compile(rb"%b|\[(?:(?:%b)(?:,(?:%b))*+)?\]" % (_SCALAR, _SCALAR, _SCALAR)).fullmatch

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _encode(message: Signature | TaskState | GroupMeta, limits: Limits) -> bytes:
    data = _text(message)
    if len(data) > limits.max_bytes or not _has_few_elements(data, limits) or not _is_shallow(message, data, limits):
        try:
            _decode_slowly(type(message), data, limits)
        except DecodeError as error:
            raise EncodeError(f"no worker would read the message: {error}") from error
    return data


def _decode(decoder: msgspec.json.Decoder[T], target: type[T], data: bytes | str, limits: Limits) -> T:
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) <= limits.max_bytes and _has_few_elements(data, limits):
        try:
            message = decoder.decode(data)
            if _text(message) == data and _is_canonical(message) and _is_shallow(message, data, limits):
                return message
        except (ValueError, EncodeError, RecursionError):
            pass  # bad, or just written otherwise: the slow way finds out
    return _decode_slowly(target, data, limits)


def _decode_slowly(target: type[T], data: bytes, limits: Limits) -> T:
    if len(data) > limits.max_bytes:
        raise DecodeError(f"a message of {len(data)} bytes; the limit is {limits.max_bytes}")
    brackets = 3 * limits.max_depth + 3  # two a signature, three around a value, and those of the value
    try:
        node = read_json(data, max_depth=brackets, max_elements=limits.max_elements)
        return build(target, node, limits.max_depth)
    except RecursionError as error:
        raise DecodeError("too little stack left to read a message this deep") from error


def _text(message: Any) -> bytes:
    try:
        return escape(encoder.encode(writable(message) if _has_odd_headers(message) else message))
    except UnicodeEncodeError:
        return encode_value(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EncodeError(f"cannot be written as JSON: {error}") from error


def _has_odd_headers(message: Any) -> bool:
    """Whether a header is anything else than a string: msgspec writes numbers otherwise than Go."""
    if type(message) is not Signature:
        return False
    if message.headers and any(type(value) is not str for value in message.headers.values()):
        return True
    return any(map(_has_odd_headers, _callbacks(message)))


def _is_canonical(message: Any) -> bool:
    """Whether what msgspec leaves unread, values and times, is as Go writes it. ValueError for a bad time."""
    if type(message) is Signature:
        time, parts = message.eta_text, message.args
    else:
        time, parts = message.created_at_text, getattr(message, "results", None)
    if time is not None and canonical_time(time) != time:
        return False
    for part in parts or ():
        if part is not None and not _simple(part.value) and encode_value(msgspec.json.decode(part.value)) != part.value:
            return False
    return all(map(_is_canonical, _callbacks(message)))


def _has_few_elements(data: bytes, limits: Limits) -> bool:
    """Whether the count is within the limit for sure: each but the first follows a comma, bracket or brace."""
    most = limits.max_elements
    return len(data) <= 2 * most or data.count(b",") + data.count(b"[") + data.count(b"{") <= most


def _is_shallow(message: Any, data: bytes, limits: Limits) -> bool:
    return data.count(b"[") + data.count(b"{") <= limits.max_depth or _nests_within(message, limits.max_depth, 0)


def _nests_within(message: Any, limit: int, level: int) -> bool:
    if type(message) is not Signature:
        return all(
            _levels(result.value, limit) <= limit for result in getattr(message, "results", None) or () if result
        )
    return (
        level <= limit
        and all(_levels(arg.value, limit) <= limit for arg in message.args or ())
        and all(_levels(encode_value(value), limit) <= limit for value in (message.headers or {}).values())
        and all(_nests_within(callback, limit, level + 1) for callback in _callbacks(message))
    )


def _levels(value: Raw | bytes, limit: int) -> int:
    """How deep a JSON value nests arrays and objects, or a number above `limit`: peels off the innermost level."""
    brackets = _STRINGS.sub(b"", value).translate(_SQUARE, _NO_BRACKETS)
    level = 0
    while brackets and level <= limit:
        brackets = brackets.replace(b"[]", b"")
        level += 1
    return level


def _callbacks(message: Any) -> Iterator[Signature]:
    """The signatures right inside one."""
    if type(message) is Signature:
        yield from message.success_callbacks
        yield from message.error_callbacks
        if message.chord_callback is not None:
            yield message.chord_callback
