"""The types that the original's reflection knows (tasks/reflect.go:14-46), and how to ask for one in an annotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

JSON = "json"
"""Our own: what Go has no type for. A Go worker refuses it."""

INTEGERS = {f"int{bits}": bits for bits in (8, 16, 32, 64)} | {"int": 64}
UNSIGNED = {f"uint{bits}": bits for bits in (8, 16, 32, 64)} | {"uint": 64}
FLOATS = {"float32": 32, "float64": 64}
SCALARS = (*INTEGERS, *UNSIGNED, *FLOATS, "bool", "string")
BYTES = frozenset({"[]byte", "[]uint8"})
"""Two names of one type: base64 on the wire. Arguments may carry either, results carry []uint8 (tasks/task.go:177)."""

TYPES = frozenset({*SCALARS, *(f"[]{scalar}" for scalar in SCALARS), "[]byte", JSON})
"""Every Type that an argument or a result may have."""


@dataclass(frozen=True, slots=True)
class GoType:
    """In an annotation, the exact Go type to send: `Annotated[int, GoType("int8")]`, or `Int8` for short."""

    name: str


Int8 = Annotated[int, GoType("int8"), Meta(ge=-(2**7), lt=2**7)]
Int16 = Annotated[int, GoType("int16"), Meta(ge=-(2**15), lt=2**15)]
Int32 = Annotated[int, GoType("int32"), Meta(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, GoType("int64"), Meta(ge=-(2**63), le=2**63 - 1)]
Int = Annotated[int, GoType("int"), Meta(ge=-(2**63), le=2**63 - 1)]
Uint8 = Annotated[int, GoType("uint8"), Meta(ge=0, lt=2**8)]
Uint16 = Annotated[int, GoType("uint16"), Meta(ge=0, lt=2**16)]
Uint32 = Annotated[int, GoType("uint32"), Meta(ge=0, lt=2**32)]
Uint64 = Annotated[int, GoType("uint64"), Meta(ge=0)]
Uint = Annotated[int, GoType("uint"), Meta(ge=0)]
Float32 = Annotated[float, GoType("float32")]


def integer_range(scalar: str) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    if scalar in UNSIGNED:
        return 0, 2 ** UNSIGNED[scalar] - 1
    half = 2 ** (INTEGERS[scalar] - 1)
    return -half, half - 1
