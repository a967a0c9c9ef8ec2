"""From a Python value to a Type and the JSON that Go would write for it."""

from __future__ import annotations

import binascii
import struct
import types
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Raw

from django_machinery.exceptions import EncodeError
from django_machinery.protocol.json_text import encode_value, encoder, float_text
from django_machinery.protocol.type_table import BYTES, FLOATS, JSON, SCALARS, GoType, integer_range

_INT64_END, _UINT64_END = 2**63, 2**64
_EXACT_IN_A_FLOAT = 2**53
_SCALAR_OF = {int: "int64", float: "float64", bool: "bool", str: "string"}


def to_wire(value: Any, annotation: Any = None) -> tuple[str, Raw]:
    """The (Type, Value) pair for a value.

    The annotation of the parameter decides where it names a Go type and the value is one; else the value does: int is
    int64 (uint64 beyond that), float float64, str string, bytes []byte, a list or tuple of one of them its slice, of
    ints and floats []float64. All else is "json": None, dicts, dates, dataclasses, enums, nested, mixed, empty lists.
    Raises EncodeError for what has no form: NaN, an integer beyond 64 bits, a model instance, an object of any class.
    """
    wanted = go_type(annotation) if annotation is not None else None
    text = wanted and _as_wanted(wanted, value)
    if wanted and text is not None:
        return wanted, Raw(text)
    write = _WRITERS.get(type(value), _write_other)
    return write(value)


def go_type(annotation: Any) -> str | None:
    """The Type that an annotation stands for: int64 for `int` and `int | None`, []string for `list[str]`, or None."""
    try:
        return _cached_go_type(annotation)
    except TypeError:  # not hashable
        return None


def _go_type(annotation: Any) -> str | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next((note.name for note in arguments if isinstance(note, GoType)), None) or go_type(arguments[0])
    if origin in (Union, types.UnionType):
        others = [argument for argument in arguments if argument is not type(None)]
        return go_type(others[0]) if len(others) == 1 else None
    if origin in (list, Sequence, Iterable) or (origin is tuple and arguments[1:] == (...,)):
        scalar = go_type(arguments[0])
        return f"[]{scalar}" if scalar in SCALARS else None
    return "[]byte" if annotation is bytes else _SCALAR_OF.get(annotation)


_cached_go_type = lru_cache(maxsize=1024)(_go_type)


def _as_wanted(wanted: str, value: Any) -> bytes | None:
    """The JSON of the value as that type; None if the value is none of it."""
    if wanted in BYTES:
        return _base64(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if not wanted.startswith("[]"):
        return _scalar(wanted, value)
    if not isinstance(value, list | tuple):
        return None
    texts = [_scalar(wanted[2:], item) for item in value]
    return None if None in texts else b"[%b]" % b",".join(filter(None, texts))


def _scalar(wanted: str, value: Any) -> bytes | None:
    kind = type(value)
    if wanted in ("bool", "string"):
        return encode_value(value) if kind is (bool if wanted == "bool" else str) else None
    if wanted in FLOATS:
        return _float(wanted, float(value)) if kind is float or kind is int else None
    if kind is not int or (wanted == "int64" and not -_INT64_END <= value < _INT64_END):
        return None
    least, greatest = integer_range(wanted)
    if not least <= value <= greatest:
        raise EncodeError(f"{value} is out of range for {wanted}")
    return b"%d" % value


def _float(wanted: str, value: float) -> bytes:
    if wanted == "float64":
        return float_text(value).encode()
    try:
        rounded = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError as error:
        raise EncodeError(f"{value} is out of range for float32") from error
    return float_text(rounded, bits=32).encode()


def _write_int(value: int) -> tuple[str, Raw]:
    if -_INT64_END <= value < _INT64_END:
        return "int64", Raw(b"%d" % value)
    if 0 <= value < _UINT64_END:
        return "uint64", Raw(b"%d" % value)
    raise EncodeError(f"{value} does not fit into 64 bits")


def _write_float(value: float) -> tuple[str, Raw]:
    return "float64", Raw(float_text(value).encode())


def _write_bool(value: bool) -> tuple[str, Raw]:
    return "bool", Raw(b"true" if value else b"false")


def _write_str(value: str) -> tuple[str, Raw]:
    return "string", Raw(encode_value(value))


def _write_bytes(value: bytes) -> tuple[str, Raw]:
    return "[]byte", Raw(_base64(value))


def _write_list(value: Sequence[Any]) -> tuple[str, Raw]:
    kinds = set(map(type, value))
    if kinds == {int}:
        return _write_ints(value)
    if kinds == {float} or (kinds == {int, float} and _are_exact_floats(value)):
        return "[]float64", Raw(encode_value([float(number) for number in value]))
    if kinds == {str} or kinds == {bool}:
        return f"[]{_SCALAR_OF[kinds.pop()]}", Raw(encode_value(value))
    return _write_json(value)


def _write_ints(value: Sequence[int]) -> tuple[str, Raw]:
    least, greatest = min(value), max(value)
    if least >= -_INT64_END and greatest < _INT64_END:
        return "[]int64", Raw(encoder.encode(value))
    if least >= 0 and greatest < _UINT64_END:
        return "[]uint64", Raw(encoder.encode(value))
    raise EncodeError(f"{least} and {greatest} do not fit into 64 bits together")


def _are_exact_floats(value: Sequence[float]) -> bool:
    return all(type(number) is float or abs(number) <= _EXACT_IN_A_FLOAT for number in value)


def _write_other(value: Any) -> tuple[str, Raw]:
    for kind, write in _WRITERS.items():  # subclasses, of which enums travel as what they are to Python
        if isinstance(value, kind) and not isinstance(value, Enum):
            return write(kind(value))
    return _write_json(value)


def _write_json(value: Any) -> tuple[str, Raw]:
    try:
        return JSON, Raw(encode_value(msgspec.to_builtins(value, str_keys=True, enc_hook=_refuse)))
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f"{type(value).__qualname__} has no form on the wire: {error}") from error


def _refuse(value: Any) -> Any:
    kind = type(value).__qualname__
    if hasattr(type(value), "_meta") and hasattr(value, "pk"):
        raise EncodeError(f"a {kind} instance cannot be sent: send its pk and load it in the task")
    raise EncodeError(f"a {kind} has no form on the wire")


def _base64(value: bytes | bytearray | memoryview) -> bytes:
    return b'"%b"' % binascii.b2a_base64(value, newline=False)


_WRITERS: dict[type, Any] = {
    bool: _write_bool,
    int: _write_int,
    float: _write_float,
    str: _write_str,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    memoryview: _write_bytes,
    list: _write_list,
    tuple: _write_list,
}
