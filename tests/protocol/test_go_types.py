"""Python values become Go's types by annotation or by what they are, and come back as the annotation asks."""

import datetime
import decimal
import enum
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from django_machinery.exceptions import ArgumentError, EncodeError
from django_machinery.protocol.go_types import (
    TYPES,
    Float32,
    GoType,
    Int8,
    Int64,
    Uint,
    Uint16,
    Uint64,
    convert,
    from_wire,
    go_type,
    results_from_wire,
    results_to_wire,
    to_wire,
)
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import TaskResult
from tests.protocol.golden_data import ANNOTATIONS


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


@dataclass
class Point:
    x: int
    y: float


class Options(TypedDict):
    deep: bool


class Text(str):
    __slots__ = ()


class Meta:
    """Stands for the options of a Django model."""


class Model:
    """Looks like a Django model's instance."""

    _meta = Meta()
    pk = 5


def wire(value: Any, annotation: Any = None) -> tuple[str, str]:
    name, text = to_wire(value, annotation)
    return name, bytes(text).decode()


def test_types_are_the_scalars_their_slices_bytes_and_json():
    assert frozenset({*ANNOTATIONS, "json"}) == TYPES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, ("int64", "1")),
        (-(2**63), ("int64", "-9223372036854775808")),
        (2**63, ("uint64", "9223372036854775808")),
        (1.0, ("float64", "1")),
        (1e21, ("float64", "1e+21")),
        (True, ("bool", "true")),
        ("<é>", ("string", '"\\u003cé\\u003e"')),
        (b"\x00\xff", ("[]byte", '"AP8="')),
        (bytearray(b"a"), ("[]byte", '"YQ=="')),
        (memoryview(b"a"), ("[]byte", '"YQ=="')),
        ([1, 2], ("[]int64", "[1,2]")),
        ((1, 2), ("[]int64", "[1,2]")),
        ([1, 2**63], ("[]uint64", "[1,9223372036854775808]")),
        ([0.5, 1.0], ("[]float64", "[0.5,1]")),
        ([1, 0.5], ("[]float64", "[1,0.5]")),
        (["a", "b"], ("[]string", '["a","b"]')),
        ([True, False], ("[]bool", "[true,false]")),
        (Text("a"), ("string", '"a"')),
    ],
)
def test_a_value_has_the_type_that_it_is(value, expected):
    assert wire(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
        ({"b": 1.0, "a": [None]}, '{"a":[null],"b":1}'),
        ({1: "x"}, '{"1":"x"}'),
        ([[1], [2]], "[[1],[2]]"),
        ([1, "a"], '[1,"a"]'),
        ([True, 1], "[true,1]"),
        ([2**53 + 1, 0.5], "[9007199254740993,0.5]"),
        ([None], "[null]"),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), '"2026-01-02T00:00:00Z"'),
        (decimal.Decimal("1.50"), '"1.50"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, '"red"'),
        (Size.BIG, "3"),
        (Point(1, 2.0), '{"x":1,"y":2}'),
        ({"bytes": b"a"}, '{"bytes":"YQ=="}'),
        ({"<": "\u2028"}, '{"\\u003c":"\\u2028"}'),
    ],
)
def test_what_go_has_no_type_for_is_json(value, expected):
    assert wire(value) == ("json", expected)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (5, Int8, ("int8", "5")),
        (5, Annotated[int, GoType("uint32")], ("uint32", "5")),
        (5, float, ("float64", "5")),
        (0.1, Float32, ("float32", "0.1")),
        (16777217, Float32, ("float32", "16777216")),
        ([], list[int], ("[]int64", "[]")),
        ([], list[str], ("[]string", "[]")),
        ((), tuple[float, ...], ("[]float64", "[]")),
        ([1, 2], list[float], ("[]float64", "[1,2]")),
        ([1, 2], Sequence[Uint16], ("[]uint16", "[1,2]")),
        ([1], Iterable[int], ("[]int64", "[1]")),
        (b"", bytes, ("[]byte", '""')),
        (5, Optional[Int8], ("int8", "5")),  # noqa: UP045 - as users may still write it
        (None, int | None, ("json", "null")),
        (5, int | str, ("int64", "5")),
        ("x", int, ("string", '"x"')),
        (2**63, int, ("uint64", "9223372036854775808")),
        ([2**63], list[int], ("[]uint64", "[9223372036854775808]")),
        (True, int, ("bool", "true")),
        (1, bool, ("int64", "1")),
        ({"a": 1}, dict[str, int], ("json", '{"a":1}')),
        ((1, "a"), tuple[int, str], ("json", '[1,"a"]')),
        (5, Any, ("int64", "5")),
        (5, Annotated[int, ["not hashable"]], ("int64", "5")),
    ],
)
def test_an_annotation_that_the_value_fits_decides(value, annotation, expected):
    assert wire(value, annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "int64"),
        (list[Int8], "[]int8"),
        (bytes | None, "[]byte"),
        (dict, None),
        (list[list[int]], None),
        (tuple[int, str], None),
    ],
)
def test_an_annotation_stands_for_a_type_or_none(annotation, expected):
    assert go_type(annotation) == expected


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        (math.nan, None, "nan"),
        ([1.0, math.inf], None, "inf"),
        ({"a": math.nan}, None, "nan"),
        (2**64, None, "64 bits"),
        (-(2**63) - 1, int, "64 bits"),
        ([-1, 2**63], None, "64 bits"),
        (300, Int8, "300 is out of range for int8"),
        (2**63, Int64, "out of range for int64"),
        (-1, Uint64, "out of range for uint64"),
        ([1, -1], list[Uint], "out of range for uint"),
        (1e39, Float32, "out of range for float32"),
        (10**400, float, "a number of 1329 bits is out of range for float64"),
        pytest.param(1 << 20_000, Int8, "a number of 20001 bits is out of range for int8", id="huge Int8"),
        pytest.param(1 << 20_000, None, "a number of 20001 bits does not fit into 64 bits", id="huge integer"),
        ([1 << 20_000], None, "a number of 20001 bits do not fit into 64 bits together"),
        (object(), None, "object has no form"),
        ({"a": {1, object()}}, None, "object has no form"),
        (1j, None, "complex has no form"),
        (Model(), None, "Model instance cannot be sent: send its pk"),
        ([Model()], None, "send its pk"),
        ({"deep": (Model(),)}, None, "send its pk"),
    ],
)
def test_what_has_no_form_is_refused_and_the_reason_told(value, annotation, message):
    with pytest.raises(EncodeError, match=message):
        to_wire(value, annotation)


def test_a_value_that_contains_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodeError):
        to_wire(endless)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (datetime.date(2026, 1, 2), datetime.date),
        (decimal.Decimal("1.50"), decimal.Decimal),
        (uuid.UUID(int=1), uuid.UUID),
        (Colour.RED, Colour),
        (Size.BIG, Size),
        (Point(1, 2.0), Point),
        ([Point(1, 2.0)], list[Point]),
        ({"deep": True}, Options),
        ([[1], [2]], list[list[int]]),
        ([b"a"], list[bytes]),
        ({1: "x"}, dict[int, str]),
        ({1, 2}, set[int]),
        (None, int | None),
        ("a", Literal["a", "b"]),
        ([1], list[int] | set[int]),
    ],
)
def test_a_value_comes_back_as_its_annotation_asks(value, annotation):
    name, text = to_wire(value, annotation)
    assert convert(from_wire(name, text, annotation), annotation) == value


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TYPES - {"json"})), st.data())
def test_every_value_of_a_go_type_comes_back(name, data):
    annotation = ANNOTATIONS[name]
    value = data.draw(values_of(name))
    sent = to_wire(value, annotation)
    assert sent[0].replace("[]byte", "[]uint8") == name.replace("[]byte", "[]uint8")
    assert convert(from_wire(*sent), annotation) == value


def values_of(name: str) -> st.SearchStrategy[Any]:
    if name in ("[]byte", "[]uint8"):
        return st.binary()
    if name.startswith("[]"):
        return st.lists(values_of(name[2:]))
    if name in ("bool", "string"):
        return st.booleans() if name == "bool" else st.text(st.characters(exclude_categories=["Cs"]))
    if name.startswith("float"):
        return st.floats(width=32 if name == "float32" else 64, allow_nan=False, allow_infinity=False)
    bits = int(name.lstrip("uint") or 64)
    return st.integers(0, 2**bits - 1) if name.startswith("u") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(TYPES)) | st.text(), st.binary() | st.sampled_from([b"1", b'"x"', b"[1]", b"{}", b"[" * 500])
)
def test_any_pair_is_a_value_or_an_argument_error(name, text):
    try:
        from_wire(name, text)
    except ArgumentError:
        return
    assert name in TYPES


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (5, int, 5),
        (5, float, 5.0),
        (5, Any, 5),
        (5, int | None, 5),
        (5, Int8, 5),
        ("2026-01-02", datetime.date, datetime.date(2026, 1, 2)),
        ("red", Colour, Colour.RED),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, 2], list[float], [1.0, 2.0]),
        ([1, 2], list, [1, 2]),
    ],
)
def test_what_arrived_is_checked_and_made_what_was_asked(value, annotation, expected):
    converted = convert(value, annotation)
    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("1", int, "Expected `int`, got `str`"),
        (True, int, "Expected `int`, got `bool`"),
        (1.0, int, "Expected `int`, got `float`"),
        (300, Int8, "<= 127"),
        (-1, Uint, ">= 0"),
        (["a"], list[int], r"Expected `int`, got `str` - at `\$\[0\]`"),
        ("green", Colour, "green"),
        (b"x", str, "Expected `str`, got `bytes`"),
        ("x", Point, "Expected `object`, got `str`"),
    ],
)
def test_what_does_not_fit_is_told(value, annotation, message):
    with pytest.raises(ArgumentError, match=message):
        convert(value, annotation)


def test_json_that_does_not_fit_its_annotation_is_told():
    with pytest.raises(ArgumentError, match=r"Expected `int`, got `str` - at `\$.x`"):
        from_wire("json", b'{"x":"1","y":2}', Point)


@pytest.mark.parametrize("annotation", [list[int] | set[int], Annotated[list[int] | set[int], ["not hashable"]]])
def test_an_annotation_that_cannot_be_checked_converts_nothing(annotation):
    assert from_wire("json", b'{"a":1}', annotation) == {"a": 1}
    assert convert("x", annotation) == "x"


def test_an_annotation_that_is_not_hashable_converts():
    assert from_wire("json", b'"2026-01-02"', Annotated[datetime.date, ["not hashable"]]) == datetime.date(2026, 1, 2)


@pytest.mark.parametrize("name", ["int64", "json"])
def test_a_value_nested_deeper_than_the_stack_is_an_argument_error(name):
    with pytest.raises(ArgumentError):
        from_wire(name, b"[" * 100_000 + b"]" * 100_000)


def test_a_long_value_is_not_told_whole():
    with pytest.raises(ArgumentError) as refused:
        from_wire("int64", b'"' + b"x" * 100_000 + b'"')
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (None, None, []),
        (None, int, []),
        (5, None, [("int64", b"5")]),
        ((1, "a"), None, [("int64", b"1"), ("string", b'"a"')]),
        ((1, 2), tuple[Int8, float], [("int8", b"1"), ("float64", b"2")]),
        ((1, 2), tuple[Int8, ...], [("int8", b"1"), ("int8", b"2")]),
        ((1, 2), tuple[int], [("int64", b"1"), ("int64", b"2")]),
        ([1, 2], list[int], [("[]int64", b"[1,2]")]),
        (b"a", bytes, [("[]uint8", b'"YQ=="')]),
        ((None, []), None, [("json", b"null"), ("json", b"[]")]),
        ((), None, []),
    ],
)
def test_none_is_no_result_a_tuple_several_all_else_one(value, annotation, expected):
    assert results_to_wire(value, annotation) == tuple(TaskResult(name, Raw(text)) for name, text in expected)


@pytest.mark.parametrize("value", [None, 5, "a", [1, 2], (1, "a"), b"b", {"a": 1}, (None, 1)])
def test_results_come_back_as_the_task_returned_them(value):
    assert results_from_wire(results_to_wire(value)) == value


def test_states_without_results_have_no_value():
    assert results_from_wire(None) is None
    assert results_from_wire(()) is None
    assert results_from_wire([None, TaskResult("int64", Raw(b"1"))]) == (None, 1)


def test_an_argument_of_a_signature_is_typed_by_its_annotation():
    assert Arg.of(5, Int8, "x") == Arg("x", "int8", Raw(b"5"))
    assert Signature(args=[Arg.of(1), 2, "a"]).args == (Arg.of(1), Arg.of(2), Arg.of("a"))


def test_msgspec_reads_what_we_call_json():
    assert msgspec.json.decode(to_wire({"a": [1.5]})[1]) == {"a": [1.5]}
