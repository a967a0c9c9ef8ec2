"""From a Type and a JSON value to a Python value, as the original's ReflectValue does (tasks/reflect.go:70-340).

Values that are what their Type says are read by msgspec; the others by Go's rules, one by one, for its wrapping of
integers, its ways to take a slice and its error texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw

from django_machinery.exceptions import ArgumentError, DecodeError
from django_machinery.protocol.go_base64 import decode_base64
from django_machinery.protocol.json_reader import Node, Number, Pairs, read_json
from django_machinery.protocol.json_text import float32
from django_machinery.protocol.type_table import BYTES, FLOATS, INTEGERS, JSON, SCALARS, UNSIGNED, integer_range

_Decode: TypeAlias = Callable[[Raw | bytes], Any]

_MAX_DEPTH = 250
_LONGEST_TOLD = 500
_INTEGER = re.compile(r"-?[0-9]+")


def from_wire(type_name: str, value: Raw | bytes, annotation: Any = Any) -> Any:
    """The Python value of a (Type, Value) pair; `annotation` is for Type "json" alone.

    Integers wrap to their size, null and {} are an empty slice, []byte and []uint8 give bytes, all as in Go.
    Raises ArgumentError, with Go's text where Go has one; where Go panics too.
    """
    read = _READERS.get(type_name)
    try:
        if read is not None:
            return read(value)
        if type_name == JSON:
            return _read_annotated(value, annotation)
    except RecursionError as error:
        raise ArgumentError("nested too deep") from error
    raise ArgumentError(f"{type_name} is not one of supported types")


def _read_annotated(value: Raw | bytes, annotation: Any) -> Any:
    try:
        return _decoder(annotation).decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ArgumentError(str(error)) from error


def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    try:
        return _cached_decoder(annotation)
    except TypeError:
        return _decoder_of_odd(annotation)


def _decoder_of_odd(annotation: Any) -> msgspec.json.Decoder[Any]:
    """For an annotation that is not hashable, or that msgspec cannot check: the second converts nothing."""
    try:
        return msgspec.json.Decoder(annotation)
    except TypeError:
        return msgspec.json.Decoder(Any)


_cached_decoder = lru_cache(maxsize=1024)(msgspec.json.Decoder)


def _read_with(decode: _Decode, slowly: Callable[[Node], Any], signed: bool, value: Raw | bytes) -> Any:
    try:
        # msgspec drops the sign of -0, which is an error for unsigned integers and kept by floats.
        if signed or b"-0" not in bytes(value):
            return decode(value)
    except (msgspec.MsgspecError, ValueError):
        pass
    return slowly(_node(value))


def _node(value: Raw | bytes) -> Node:
    text = bytes(value)
    try:
        return read_json(text, max_depth=_MAX_DEPTH, max_elements=len(text))
    except DecodeError as error:
        raise ArgumentError(str(error)) from error


def _read_bytes(value: Raw | bytes) -> bytes:
    node = _node(value)
    return decode_base64(node) if isinstance(node, str) else bytes(_slice("uint8", node))


def _slice(scalar: str, node: Node) -> list[Any]:
    """A slice of whatever Go can take the length and the elements of; a text and a number are their bytes."""
    if isinstance(node, Pairs):
        if node.members:
            raise _mismatch(node, f"[]{scalar}")
        return []
    if isinstance(node, list):
        read = _SCALAR_READERS[scalar]
        return [read(item) for item in node]
    if isinstance(node, bool):
        raise _mismatch(node, f"[]{scalar}")
    if isinstance(node, str) and scalar in UNSIGNED:
        return list(decode_base64(node))
    return _bytes_of(scalar, node.text if isinstance(node, Number) else node or "")


def _bytes_of(scalar: str, text: str) -> list[Any]:
    data = text.encode()
    if data and scalar not in UNSIGNED:
        raise ArgumentError(f"{data[0]} is not {scalar}")
    return list(data)


def _integer(scalar: str, node: Node) -> int:
    if not isinstance(node, Number):
        raise _mismatch(node, scalar)
    signed = scalar in INTEGERS
    function = "ParseInt" if signed else "ParseUint"
    if not _INTEGER.fullmatch(node.text) or (node.text[0] == "-" and not signed):
        raise ArgumentError(f'strconv.{function}: parsing "{_cut(node.text)}": invalid syntax')
    least, greatest = integer_range("int64" if signed else "uint64")
    if len(node.text) > 20 or not least <= int(node.text) <= greatest:
        raise ArgumentError(f'strconv.{function}: parsing "{_cut(node.text)}": value out of range')
    return _wrapped(int(node.text), scalar)


def _wrapped(number: int, scalar: str) -> int:
    least, greatest = integer_range(scalar)
    return (number - least) % (greatest - least + 1) + least


def _float(scalar: str, node: Node) -> float:
    if not isinstance(node, Number):
        raise _mismatch(node, scalar)
    number = float(node.text)
    if number in (float("inf"), float("-inf")):
        raise ArgumentError(f'strconv.ParseFloat: parsing "{_cut(node.text)}": value out of range')
    return float32(number) if scalar == "float32" else number


def _exactly(kind: type, scalar: str, node: Node) -> Any:
    if not isinstance(node, kind):
        raise _mismatch(node, scalar)
    return str(node) if isinstance(node, str) else node


def _mismatch(node: Node, wanted: str) -> ArgumentError:
    return ArgumentError(f"{_cut(_go_text(node))} is not {wanted}")


def _cut(text: str) -> str:
    """Errors are stored and logged, so a long value is not told whole (Go does)."""
    return text if len(text) <= _LONGEST_TOLD else text[:_LONGEST_TOLD] + "..."


def _go_text(node: Node) -> str:
    """The value as Go's %v prints it."""
    if node is None:
        return "<nil>"
    if isinstance(node, bool):
        return "true" if node else "false"
    if isinstance(node, Number):
        return node.text
    if isinstance(node, Pairs):
        return "map[" + " ".join(f"{key}:{_go_text(item)}" for key, item in sorted(dict(node.members).items())) + "]"
    if isinstance(node, list):
        return "[" + " ".join(map(_go_text, node)) + "]"
    return str(node)


def _scalar_readers() -> dict[str, Callable[[Node], Any]]:
    integers = {scalar: partial(_integer, scalar) for scalar in (*INTEGERS, *UNSIGNED)}
    floats = {scalar: partial(_float, scalar) for scalar in FLOATS}
    return {**integers, **floats, "bool": partial(_exactly, bool, "bool"), "string": partial(_exactly, str, "string")}


def _decoders(scalar: str) -> tuple[_Decode, _Decode]:
    """What reads one and several of a type as Go does, apart from -0, or raises ValueError."""
    if scalar == "float32":
        return (lambda value: float32(_FLOAT.decode(value))), (lambda value: list(map(float32, _FLOATS.decode(value))))
    kind: Any = {"float64": float, "bool": bool, "string": str}.get(scalar)
    if kind is None:
        least, greatest = integer_range(scalar)
        kind = Annotated[int, Meta(ge=least, le=min(greatest, 2**63 - 1))]  # msgspec has no greater bound
    return msgspec.json.Decoder[Any](kind).decode, msgspec.json.Decoder[Any](list[kind]).decode


def _readers() -> dict[str, _Decode]:
    readers: dict[str, _Decode] = {}
    for scalar in SCALARS:
        one, several = _decoders(scalar)
        signed = scalar in INTEGERS or scalar in ("bool", "string")
        readers[scalar] = partial(_read_with, one, _SCALAR_READERS[scalar], signed)
        readers[f"[]{scalar}"] = partial(_read_with, several, partial(_slice, scalar), signed)
    return readers | dict.fromkeys(BYTES, _read_bytes)


_FLOAT = msgspec.json.Decoder(float)
_FLOATS = msgspec.json.Decoder(list[float])
_SCALAR_READERS = _scalar_readers()
_READERS = _readers()
