"""Messages as bytes: what Go writes, byte for byte, and what Go reads, within bounds.

A message that is written as Go writes it, which is nearly every one, is decoded by msgspec alone: it is known by being
encoded again to the same bytes. Everything else goes the slow way, through `json_reader` and `tolerant`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Raw

from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol.json_reader import read_json
from django_machinery.protocol.json_text import encode_value, encoder, escape
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import GroupMeta, TaskState
from django_machinery.protocol.times import canonical_time
from django_machinery.protocol.tolerant import build

T = TypeVar("T", Signature, TaskState, GroupMeta)
Data: TypeAlias = bytes | bytearray | memoryview | str
Message: TypeAlias = Signature | TaskState | GroupMeta


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
    try:
        data = encode_value(signature) if _has_odd_headers(signature) else _text(signature)
        _refuse_unreadable(signature, data, limits)
    except RecursionError as error:
        raise EncodeError("callbacks or headers nest too deep") from error
    return data


def decode_signature(data: Data, limits: Limits = DEFAULT_LIMITS) -> Signature:
    """The signature in a message from anywhere. DecodeError, nothing else, if Go refuses it or beyond the limits."""
    return _decode(Signature, data, limits)


def encode_state(state: TaskState, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A task's state as result backends of the original store it. EncodeError beyond the limits."""
    data = _text(state)
    _refuse_unreadable(state, data, limits)
    return data


def decode_state(data: Data, limits: Limits = DEFAULT_LIMITS) -> TaskState:
    """The reverse of `encode_state`, as tolerant and as bounded as `decode_signature`."""
    return _decode(TaskState, data, limits)


def encode_group(group: GroupMeta, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A group's state as result backends of the original store it. EncodeError beyond the limits."""
    data = _text(group)
    _refuse_unreadable(group, data, limits)
    return data


def decode_group(data: Data, limits: Limits = DEFAULT_LIMITS) -> GroupMeta:
    """The reverse of `encode_group`, as tolerant and as bounded as `decode_signature`."""
    return _decode(GroupMeta, data, limits)


_is_simple = re.compile(
    rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    rb"|\"[ !#-%'-;=?-\[\]-\x7f]{0,200}+\""  # none of " \ < > & and nothing beyond ASCII
    rb"|true|false|null"
).fullmatch

_ONLY_STRINGS = {str}
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _decode(target: type[T], data: Data, limits: Limits) -> T:
    if type(data) is not bytes:
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    decode, is_canonical = _FORMS[target]
    if len(data) <= limits.max_bytes and _has_few_elements(data, limits):
        try:
            message: T = decode(data)
            if is_canonical(message, limits.max_depth) and escape(encoder.encode(message)) == data:
                return message
        except (msgspec.MsgspecError, ValueError, EncodeError, RecursionError):
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


def _text(message: Message) -> bytes:
    try:
        return escape(encoder.encode(message))
    except UnicodeEncodeError:
        return encode_value(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(f"cannot be written as JSON: {error}") from error


def _has_odd_headers(signature: Signature) -> bool:
    """Whether a header, at any level, is anything else than a string: msgspec writes numbers otherwise than Go."""
    if signature.headers and set(map(type, signature.headers.values())) != _ONLY_STRINGS:
        return True
    callbacks = signature.callbacks
    return bool(callbacks) and any(map(_has_odd_headers, callbacks))


def _refuse_unreadable(message: T, data: bytes, limits: Limits) -> None:
    """EncodeError for what would be refused when it is decoded."""
    _, is_canonical = _FORMS[type(message)]
    if (
        len(data) <= limits.max_bytes
        and _has_few_elements(data, limits)
        and (data.count(b"[") + data.count(b"{") <= limits.max_depth or is_canonical(message, limits.max_depth))
    ):
        return
    try:
        _decode_slowly(type(message), data, limits)
    except DecodeError as error:
        raise EncodeError(f"no worker would read the message: {error}") from error


def _has_few_elements(data: bytes, limits: Limits) -> bool:
    """Whether the count is within the limit for sure: each but the first follows a comma, bracket or brace."""
    most = limits.max_elements
    return len(data) <= 2 * most or data.count(b",") + data.count(b"[") + data.count(b"{") <= most


def _is_canonical_signature(signature: Signature, max_depth: int, level: int = 0) -> bool:
    """Whether what msgspec leaves unread, values and times, is as Go writes it, and all within the depth.

    Headers that are no strings are not looked at: msgspec does not keep the text of their numbers.
    """
    if level > max_depth or (signature.eta_text is not None and not _is_canonical_time(signature.eta_text)):
        return False
    for arg in signature.args or ():
        if not (_is_simple(arg.value) or _is_canonical_value(arg.value, max_depth)):
            return False
    if signature.headers and set(map(type, signature.headers.values())) != _ONLY_STRINGS:
        return False
    callbacks = signature.callbacks
    return not callbacks or all(_is_canonical_signature(callback, max_depth, level + 1) for callback in callbacks)


def _is_canonical_state(state: TaskState, max_depth: int) -> bool:
    values = [result.value for result in state.results or () if result is not None]
    return _is_canonical_time(state.created_at_text) and all(
        _is_simple(value) or _is_canonical_value(value, max_depth) for value in values
    )


def _is_canonical_group(group: GroupMeta, max_depth: int) -> bool:
    return _is_canonical_time(group.created_at_text)


def _is_canonical_time(text: str) -> bool:
    """ValueError if it is none."""
    return canonical_time(text) == text


def _is_canonical_value(value: Raw, max_depth: int) -> bool:
    """ValueError if it is none. Go keeps the text of numbers, so what msgspec writes again is canonical."""
    text = bytes(value)
    if text.count(b"[") + text.count(b"{") > max_depth and _levels(text, max_depth) > max_depth:
        return False
    return escape(encoder.encode(msgspec.json.decode(text))) == text


def _levels(value: bytes, limit: int) -> int:
    """How deep a JSON value nests arrays and objects, or a number above `limit`: peels off the innermost level."""
    brackets = _STRINGS.sub(b"", value).translate(_SQUARE, _NO_BRACKETS)
    level = 0
    while brackets and level <= limit:
        brackets = brackets.replace(b"[]", b"")
        level += 1
    return level


_FORMS: dict[type, tuple[Callable[[bytes], Any], Callable[[Any, int], bool]]] = {
    Signature: (msgspec.json.Decoder(Signature).decode, _is_canonical_signature),
    TaskState: (msgspec.json.Decoder(TaskState).decode, _is_canonical_state),
    GroupMeta: (msgspec.json.Decoder(GroupMeta).decode, _is_canonical_group),
}
