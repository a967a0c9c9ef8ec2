"""From a Python value to a Type and the JSON that Go would write for it."""

from __future__ import annotations

import binascii
import math
import types
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Raw

from django_machinery.exceptions import EncodeError
from django_machinery.protocol.json_text import encode_string, encode_value, encoder, float32, float_text
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
    kind = type(value)
    wanted = None if annotation is None or annotation is kind else _wanted(annotation)
    if wanted is not None:
        text = _as_wanted(wanted, value)
        if text is not None:
            return wanted.type, Raw(text)
    pair: tuple[str, Raw] = _WRITERS.get(kind, _write_other)(value)
    return pair


def go_type(annotation: Any) -> str | None:
    """The Type that an annotation stands for: int64 for `int` and `int | None`, []string for `list[str]`, or None."""
    wanted = _wanted(annotation)
    return None if wanted is None else wanted.type


class _Wanted(NamedTuple):
    """The Type that an annotation stands for; `exact` if it says so by a GoType."""

    type: str
    exact: bool = False


def _wanted(annotation: Any) -> _Wanted | None:
    try:
        return _cached_wanted(annotation)
    except TypeError:  # not hashable
        return None


def _find_wanted(annotation: Any) -> _Wanted | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        noted = next((note.name for note in arguments if isinstance(note, GoType)), None)
        return _Wanted(noted, exact=True) if noted else _wanted(arguments[0])
    if origin in (Union, types.UnionType):
        others = [argument for argument in arguments if argument is not type(None)]
        return _wanted(others[0]) if len(others) == 1 else None
    if origin in (list, Sequence, Iterable) or (origin is tuple and arguments[1:] == (...,)):
        item = _wanted(arguments[0])
        return _Wanted(f"[]{item.type}", item.exact) if item is not None and item.type in SCALARS else None
    if annotation is bytes:
        return _Wanted("[]byte")
    return _Wanted(_SCALAR_OF[annotation]) if annotation in _SCALAR_OF else None


_cached_wanted = lru_cache(maxsize=1024)(_find_wanted)


def _as_wanted(wanted: _Wanted, value: Any) -> bytes | None:
    """The JSON of the value as that type; None if the value is none of it."""
    if wanted.type in BYTES:
        return _base64(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if not wanted.type.startswith("[]"):
        return _scalar(wanted.type, wanted.exact, value)
    if not isinstance(value, list | tuple):
        return None
    texts = [_scalar(wanted.type[2:], wanted.exact, item) for item in value]
    return None if None in texts else b"[%b]" % b",".join(filter(None, texts))


def _scalar(wanted: str, exact: bool, value: Any) -> bytes | None:
    kind = type(value)
    if wanted in ("bool", "string"):
        return encode_value(value) if kind is (bool if wanted == "bool" else str) else None
    if wanted in FLOATS:
        return _float(wanted, value) if kind is float or kind is int else None
    if kind is not int:
        return None
    least, greatest = integer_range(wanted)
    if least <= value <= greatest:
        return b"%d" % value
    if exact:
        raise EncodeError(f"{_shown(value)} is out of range for {wanted}")
    return None


def _float(wanted: str, number: float) -> bytes:
    try:
        value = float(number)
    except OverflowError as error:
        raise EncodeError(f"{_shown(number)} is out of range for {wanted}") from error
    if wanted == "float64":
        return float_text(value).encode()
    nearest = float32(value)
    if math.isinf(nearest) and math.isfinite(value):
        raise EncodeError(f"{value} is out of range for float32")
    return float_text(nearest, bits=32).encode()


def _write_int(value: int) -> tuple[str, Raw]:
    if -_INT64_END <= value < _INT64_END:
        return "int64", Raw(b"%d" % value)
    if 0 <= value < _UINT64_END:
        return "uint64", Raw(b"%d" % value)
    raise EncodeError(f"{_shown(value)} does not fit into 64 bits")


def _write_float(value: float) -> tuple[str, Raw]:
    return "float64", Raw(float_text(value).encode())


def _write_bool(value: bool) -> tuple[str, Raw]:
    return "bool", Raw(b"true" if value else b"false")


def _write_str(value: str) -> tuple[str, Raw]:
    return "string", Raw(encode_string(value))


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
    raise EncodeError(f"{_shown(least)} and {_shown(greatest)} do not fit into 64 bits together")


def _shown(value: float) -> str:
    """Fit for a message: Python refuses to write an integer of thousands of digits."""
    return (
        f"a number of {value.bit_length()} bits" if isinstance(value, int) and value.bit_length() > 256 else str(value)
    )


def _are_exact_floats(value: Sequence[float]) -> bool:
    return all(type(number) is float or abs(number) <= _EXACT_IN_A_FLOAT for number in value)


def _write_other(value: Any) -> tuple[str, Raw]:
    for kind, write in _WRITERS.items():  # subclasses, of which enums travel as what they are to Python
        if isinstance(value, kind) and not isinstance(value, Enum):
            pair: tuple[str, Raw] = write(kind(value))
            return pair
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
