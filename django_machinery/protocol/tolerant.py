"""Messages as Go's decoder takes them: fields in any case, unknown ones dropped, duplicates merged, its null rules.

Go decodes into memory that is already there (encoding/json, decode.go): a second value of a field is read over the
first, so an object keeps the fields that the second lacks, a list keeps its elements' old fields, null leaves scalars
alone. `_Struct` and `_Slice` are that memory. Objects are read one after the other, not within one another, so that
depth costs no stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol.json_reader import Escaped, Node, Number, Pairs, plain_value
from django_machinery.protocol.json_text import encode_value
from django_machinery.protocol.names import go_name
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import GroupMeta, TaskResult, TaskState
from django_machinery.protocol.times import canonical_time

T = TypeVar("T", Signature, TaskState, GroupMeta)

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_LONG_S_AND_KELVIN = str.maketrans("\N{LATIN SMALL LETTER LONG S}\N{KELVIN SIGN}", "sk")


def build(target: type[T], node: Node, max_depth: int) -> T:
    """The struct that Go would decode from this value. DecodeError where Go refuses, or beyond `max_depth`.

    A level is a signature within a signature, or an array or object within one value.
    """
    message = _Message(max_depth)
    whole = message.struct(target, None, node, level=0)
    message.read_all()
    result: T = whole.frozen
    return result


class _Struct:
    """What the fields of one object hold so far; when all has been read, `frozen` is the object."""

    def __init__(self, target: type, level: int) -> None:
        self.target = target
        self.level = level
        self.fields: dict[str, Any] = {}
        self.frozen: Any = target()

    def freeze(self) -> None:
        if self.fields:
            self.frozen = self.target(**{name: _frozen(held) for name, held in self.fields.items()})


class _Slice:
    """A list, and what Go's array behind it still holds beyond its end: later values are read over that."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.length = 0


class _Message:
    """A message being read. Kinds of fields are methods: (its struct, what it holds, a node) -> what it holds then."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.structs: list[_Struct] = []
        self.unread: list[tuple[_Struct, Pairs]] = []

    def read_all(self) -> None:
        for struct, pairs in self.unread:  # which grows meanwhile
            kinds = _KINDS[struct.target]
            for key, value in pairs.members:
                name = _folded(key)
                if name in kinds:
                    field, zero, read = kinds[name]
                    struct.fields[field] = read(self, struct, struct.fields.get(field, zero), value)
        for struct in reversed(self.structs):  # each was found after the one that holds it
            struct.freeze()

    def struct(self, target: type, held: _Struct | None, node: Node, level: int) -> _Struct:
        if held is None:
            held = _Struct(target, level)
            self.structs.append(held)
        if node is not None:
            if not isinstance(node, Pairs):
                raise _mismatch(node, "an object")
            if level > self.max_depth:
                raise DecodeError(f"more than {self.max_depth} levels of signatures")
            self.unread.append((held, node))
        return held

    def text(self, _: _Struct, held: str, node: Node) -> str:
        if node is None:
            return held
        if not isinstance(node, str):
            raise _mismatch(node, "a string")
        return str(node)

    def boolean(self, _: _Struct, held: bool, node: Node) -> bool:
        if node is None:
            return held
        if not isinstance(node, bool):
            raise _mismatch(node, "a boolean")
        return node

    def int64(self, _: _Struct, held: int, node: Node) -> int:
        return held if node is None else _integer(node, -(2**63), 2**63 - 1)

    def uint8(self, _: _Struct, held: int, node: Node) -> int:
        if isinstance(node, Number) and node.text.startswith("-"):
            raise _mismatch(node, "a number from 0 to 255")
        return held if node is None else _integer(node, 0, 255)

    def time(self, _: _Struct, held: str, node: Node) -> str:
        if node is None:
            return held
        if not isinstance(node, str) or isinstance(node, Escaped):
            raise _mismatch(node, "a time")
        try:
            return canonical_time(node)
        except ValueError as error:
            raise DecodeError(str(error)) from error

    def optional_time(self, struct: _Struct, held: str | None, node: Node) -> str | None:
        return None if node is None else self.time(struct, "", node)

    def value(self, _: _Struct, held: Raw, node: Node) -> Raw:
        return Raw(encode_value(plain_value(node, self.max_depth)))

    def headers(self, _: _Struct, held: dict[str, Any] | None, node: Node) -> dict[str, Any] | None:
        if node is None:
            return None
        if not isinstance(node, Pairs):
            raise _mismatch(node, "an object")
        merged = {} if held is None else held
        merged.update((str(key), _header(plain_value(value, self.max_depth))) for key, value in node.members)
        return merged

    def texts(self, struct: _Struct, held: _Slice | None, node: Node) -> _Slice | None:
        return self._list(held, node, "", lambda text, item: self.text(struct, text, item))

    def args(self, _: _Struct, held: _Slice | None, node: Node) -> _Slice | None:
        return self._list(held, node, None, lambda arg, item: self.struct(Arg, arg, item, 0))

    def results(self, _: _Struct, held: _Slice | None, node: Node) -> _Slice | None:
        def result(held: _Struct | None, item: Node) -> _Struct | None:
            return None if item is None else self.struct(TaskResult, held, item, 0)

        return self._list(held, node, None, result)

    def signatures(self, struct: _Struct, held: _Slice | None, node: Node) -> _Slice | None:
        return self._list(held, node, None, lambda callback, item: self.signature(struct, callback, item))

    def signature(self, struct: _Struct, held: _Struct | None, node: Node) -> _Struct | None:
        return None if node is None else self.struct(Signature, held, node, struct.level + 1)

    def _list(self, held: _Slice | None, node: Node, zero: Any, read: Callable[[Any, Node], Any]) -> _Slice | None:
        if node is None:
            return None
        if not isinstance(node, list):
            raise _mismatch(node, "an array")
        slice_ = held if held is not None and node else _Slice()
        for index, item in enumerate(node):
            if index == len(slice_.items):
                slice_.items.append(zero)
            slice_.items[index] = read(slice_.items[index], item)
        slice_.length = len(node)
        return slice_


def _frozen(held: Any) -> Any:
    if isinstance(held, _Slice):
        return tuple(_frozen(item) for item in held.items[: held.length])
    return held.frozen if isinstance(held, _Struct) else held


def _folded(key: str) -> str:
    """The same for all spellings that Go takes for one field name."""
    if not key.isascii():
        key = key.translate(_LONG_S_AND_KELVIN)
    return key.upper() if key.isascii() else ""


def _integer(node: Node, least: int, greatest: int) -> int:
    if not isinstance(node, Number) or not _INTEGER.fullmatch(node.text) or not least <= int(node.text) <= greatest:
        raise _mismatch(node, f"an integer from {least} to {greatest}")
    return int(node.text)


def _header(value: Any) -> Any:
    """Numbers as int and float where Python would write the same text again."""
    if isinstance(value, dict):
        return {key: _header(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_header(item) for item in value]
    if not isinstance(value, Raw):
        return value
    text = bytes(value).decode()
    number = int(text) if _INTEGER.fullmatch(text) else float(text)
    try:
        return number if encode_value(number) == bytes(value) else value
    except EncodeError:
        return value


def _mismatch(node: Node, wanted: str) -> DecodeError:
    return DecodeError(f"{_NAMES[type(node)]} where {wanted} belongs")


_NAMES = {
    Pairs: "an object",
    list: "an array",
    str: "a string",
    Escaped: "a string with escapes",
    Number: "a number",
    bool: "a boolean",
    type(None): "null",
}


def _kinds(target: type[msgspec.Struct], **reads: Callable[..., Any]) -> dict[str, tuple[str, Any, Callable[..., Any]]]:
    """For each field name in upper case: the attribute, its zero value and how it is read."""
    zero = target()
    return {go_name(field).upper(): (field, getattr(zero, field), read) for field, read in reads.items()}


_KINDS: dict[type, dict[str, tuple[str, Any, Callable[..., Any]]]] = {
    Arg: _kinds(Arg, name=_Message.text, type=_Message.text, value=_Message.value),
    TaskResult: _kinds(TaskResult, type=_Message.text, value=_Message.value),
    Signature: _kinds(
        Signature,
        uuid=_Message.text,
        name=_Message.text,
        queue=_Message.text,
        eta_text=_Message.optional_time,
        group_uuid=_Message.text,
        group_task_count=_Message.int64,
        args=_Message.args,
        headers=_Message.headers,
        priority=_Message.uint8,
        immutable=_Message.boolean,
        retry_count=_Message.int64,
        retry_timeout=_Message.int64,
        on_success=_Message.signatures,
        on_error=_Message.signatures,
        chord_callback=_Message.signature,
        broker_message_group_id=_Message.text,
        sqs_receipt_handle=_Message.text,
        stop_task_deletion_on_error=_Message.boolean,
        ignore_when_task_not_registered=_Message.boolean,
    ),
    TaskState: _kinds(
        TaskState,
        task_uuid=_Message.text,
        task_name=_Message.text,
        state=_Message.text,
        results=_Message.results,
        error=_Message.text,
        created_at_text=_Message.time,
        ttl=_Message.int64,
    ),
    GroupMeta: _kinds(
        GroupMeta,
        group_uuid=_Message.text,
        task_uuids=_Message.texts,
        chord_triggered=_Message.boolean,
        lock=_Message.boolean,
        created_at_text=_Message.time,
        ttl=_Message.int64,
    ),
}
