"""Arguments and results: Python values on one side, (Type, Value) pairs on the other.

A Type is the name of a Go type, one of TYPES, or "json" for what Go has no type for: only Python reads that. Values are
JSON text. `Int8` to `Uint64` and `Float32` in a task's annotations say exactly which Go type to send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_origin

import msgspec

from django_machinery.exceptions import ArgumentError
from django_machinery.protocol.reading import from_wire
from django_machinery.protocol.states import TaskResult
from django_machinery.protocol.type_table import (
    JSON,
    TYPES,
    Float32,
    GoType,
    Int,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
)
from django_machinery.protocol.writing import go_type, to_wire

__all__ = [
    "JSON",
    "TYPES",
    "Float32",
    "GoType",
    "Int",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Uint",
    "Uint8",
    "Uint16",
    "Uint32",
    "Uint64",
    "convert",
    "from_wire",
    "go_type",
    "results_from_wire",
    "results_to_wire",
    "to_wire",
]


def convert(value: Any, annotation: Any) -> Any:
    """The value as an annotation asks for it, or ArgumentError: ``Expected `int`, got `str` ``.

    Nothing is guessed: no "1" for an int. What has no Go type of its own may come as the string that JSON has for it
    (a date, a UUID, an enum, a Decimal), and an int will do for a float. An annotation that msgspec cannot check, such
    as a union of two kinds of list, checks nothing.
    """
    if type(value) is annotation or annotation is Any:
        return value
    try:
        return msgspec.convert(value, annotation)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ArgumentError(str(error)) from error
    except TypeError:
        return value


def results_to_wire(value: Any, annotation: Any = None) -> tuple[TaskResult, ...]:
    """The results that a task's return value stands for: None is none, a tuple several, everything else one.

    `annotation` is that of the return value. Raises EncodeError as `to_wire` does.
    """
    if value is None:
        return ()
    if type(value) is not tuple:
        return (_result(value, annotation),)
    kinds = get_args(annotation) if get_origin(annotation) is tuple else ()
    if kinds[1:] == (...,) or len(kinds) != len(value):
        kinds = kinds[:1] * len(value) if kinds[1:] == (...,) else (None,) * len(value)
    return tuple(map(_result, value, kinds))


def results_from_wire(results: Sequence[TaskResult | None] | None) -> Any:
    """The reverse: None for no result, the value of one, a tuple of several. ArgumentError if one does not convert."""
    values = tuple(from_wire(result.type, result.value) if result else None for result in results or ())
    if len(values) > 1:
        return values
    return values[0] if values else None


def _result(value: Any, annotation: Any) -> TaskResult:
    type_name, text = to_wire(value, annotation)
    return TaskResult("[]uint8" if type_name == "[]byte" else type_name, text)
