"""Arguments become values, with the original's conversions and error texts; results become what it stores."""

import math
from datetime import timedelta
from typing import Any

import pytest

from django_machinery.exceptions import ArgumentError, EncodeError, RetryLater
from django_machinery.protocol.codec import decode_signature, encode_state
from django_machinery.protocol.go_types import Float32, Int64, from_wire, results_to_wire, to_wire
from django_machinery.protocol.parameters import Parameters
from django_machinery.protocol.states import TaskState
from tests.protocol.golden_data import ANNOTATIONS, case, lines, raw_member, rows

REFLECTED = [
    {**row, "raw": raw_member(line, "value")} for row, line in zip(rows("reflect"), lines("reflect"), strict=True)
]
CALLED = [{**row, "raw": raw_member(line, "args")} for row, line in zip(rows("calls"), lines("calls"), strict=True)]


def reflected(kind: str):
    """The lines of one kind: ok, error, panic, or infinite (Go converts the value, but cannot write it)."""
    infinite = [row for row in REFLECTED if row["ok"] is False and "go" in row]
    if kind == "infinite":
        return pytest.mark.parametrize("row", infinite, ids=case)
    return pytest.mark.parametrize("row", [row for row in REFLECTED if row.get(kind) and row not in infinite], ids=case)


@reflected("ok")
def test_a_value_is_converted_as_go_converts_it(row):
    name, text = to_wire(from_wire(row["type"], row["raw"]), ANNOTATIONS[row["go_type"]])
    assert (name.replace("[]byte", "[]uint8"), bytes(text).decode()) == (row["go_type"], row["json"])


@reflected("error")
def test_a_value_that_does_not_convert_is_refused_in_gos_words(row):
    with pytest.raises(ArgumentError) as refused:
        from_wire(row["type"], row["raw"])
    assert str(refused.value) == row["error"]


@reflected("panic")
def test_a_value_on_which_go_panics_is_refused(row):
    with pytest.raises(ArgumentError, match=r"is not \[\]"):
        from_wire(row["type"], row["raw"])


@reflected("infinite")
def test_a_float32_that_overflows_is_infinite_and_cannot_be_sent_on(row):
    value = from_wire(row["type"], row["raw"])
    assert math.inf in (value if isinstance(value, list) else [value])
    with pytest.raises(EncodeError):
        to_wire(value, Float32)


class Failed(Exception):
    """What a task of the original returns as its error."""


def add(*numbers: Int64) -> Int64:
    return sum(numbers)


def multiply(*numbers: Int64) -> Int64:
    return math.prod(numbers)


def sum_ints(numbers: list[Int64]) -> Int64:
    return sum(numbers)


def concat(*parts: str) -> str:
    return "".join(parts)


def split(text: str, separator: str) -> tuple[str, str, bool]:
    before, found, after = text.partition(separator)
    return before, after, bool(found)


def noop() -> None: ...


def fail(*message: str) -> None:
    raise Failed(" ".join(message) or "failed as asked")


def panic(text: str) -> None:
    raise Failed(text)


def panic_other() -> None:
    raise Failed("Invoking task caused a panic")


def retry_later(milliseconds: Int64, times: Int64) -> None:
    raise RetryLater("run 1", timedelta(milliseconds=milliseconds))


def record_error(message: str, *rest: str) -> str:
    return message


TASKS = [add, multiply, sum_ints, concat, split, noop, fail, panic, panic_other, retry_later, record_error]
BY_NAME: dict[str, Any] = {"panic_error": panic, **{func.__name__: func for func in TASKS}}

PYTHON_CALLS = {"int64 for int32", "int for int64"}
"""Go's reflection refuses another integer type than the parameter's; a Python int is what its value is."""

PYTHON_REFUSES = {"overflow wraps"}
"""A sum beyond int64 is no negative number in Python: the result does not fit the annotation."""


def echo(kind: str):
    def func(value):
        return value

    func.__annotations__ = {"value": ANNOTATIONS[kind], "return": ANNOTATIONS[kind]}
    return func


def run(row) -> str:
    name = row["task"]
    func: Any = echo(name.removeprefix("echo_")) if name.startswith("echo_") else BY_NAME[name]
    signature = decode_signature(b'{"Args":%b}' % row["raw"])
    positional, named = Parameters(func).to_call(signature.args)
    results = results_to_wire(func(*positional, **named), func.__annotations__.get("return"))
    return encode_state(TaskState(results=results)).decode().partition('"Results":')[2].partition(',"Error"')[0]


def called(*, ok: bool):
    differing = PYTHON_CALLS | PYTHON_REFUSES
    return pytest.mark.parametrize("row", [r for r in CALLED if r["ok"] is ok and r["case"] not in differing], ids=case)


@called(ok=True)
def test_a_call_stores_the_results_that_go_stores(row):
    assert run(row) == row["json"]


@pytest.mark.parametrize("row", [row for row in CALLED if row["case"] in PYTHON_CALLS], ids=case)
def test_an_integer_of_another_size_is_taken(row):
    assert not row["ok"]
    assert '"Value":5' in run(row)


@pytest.mark.parametrize("row", [row for row in CALLED if row["case"] in PYTHON_REFUSES], ids=case)
def test_a_result_that_does_not_fit_its_annotation_is_refused(row):
    assert row["ok"]
    with pytest.raises(EncodeError, match="out of range"):
        run(row)


@called(ok=False)
def test_a_call_that_fails_in_go_fails_here(row):
    with pytest.raises((ArgumentError, Failed, RetryLater)) as failed:
        run(row)
    text, error = str(failed.value), row.get("error", "")
    if isinstance(failed.value, RetryLater):
        assert error == f"Task error: {text} Will retry in: {failed.value.delay.total_seconds()}s"
    elif isinstance(failed.value, Failed):
        assert text == error
    elif error.startswith("Reflect task args error: "):
        assert text.endswith(error.removeprefix("Reflect task args error: "))


def test_every_named_call_is_there():
    assert {row["case"] for row in CALLED} >= PYTHON_CALLS | PYTHON_REFUSES
