"""Arguments of a message and parameters of a callable."""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from django_machinery.exceptions import ArgumentError, EncodeError
from django_machinery.protocol.parameters import Parameters
from django_machinery.protocol.signature import Arg

if TYPE_CHECKING:
    from webbrowser import GenericBrowser as Page


@dataclass
class Point:
    x: int
    y: int


def area(width: int, height: int = 1, *, scale: float = 1.0) -> float:
    return width * height * scale


def total(*numbers: int) -> int:
    return sum(numbers)


def label(text: str, /, **attributes: str) -> str:
    return text + str(attributes)


def call(func, args):
    positional, named = Parameters(func).to_call(args)
    return func(*positional, **named)


def wire(*args: Arg) -> list[tuple[str, str, bytes]]:
    return [(arg.name, arg.type, bytes(arg.value)) for arg in args]


def test_positional_arguments_have_no_name_and_keywords_keep_theirs():
    args = Parameters(area).to_args((2,), {"height": 3, "scale": 0.5})
    assert wire(*args) == [("", "int64", b"2"), ("height", "int64", b"3"), ("scale", "float64", b"0.5")]
    assert call(area, args) == 3.0


def test_keywords_are_sent_in_the_order_of_the_parameters():
    args = Parameters(area).to_args((), {"height": 3, "width": 2})
    assert [arg.name for arg in args] == ["width", "height"]


def test_a_default_is_not_sent_and_holds_where_the_task_runs():
    args = Parameters(area).to_args((2,), {})
    assert len(args) == 1
    assert call(area, args) == 2.0


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"depth": 2}), ((1,), {"width": 2})])
def test_a_call_that_python_would_refuse_is_refused_at_send(args, kwargs):
    with pytest.raises(TypeError):
        Parameters(area).to_args(args, kwargs)


def test_a_partial_call_leaves_room_for_results():
    args = Parameters(area).to_args((), {"height": 3}, partial=True)
    appended = Arg(type="int64", value=Arg.of(2).value)
    assert call(area, (*args, appended)) == 6.0


def test_a_named_argument_is_never_filled_twice():
    named = Arg.of(3, name="width")
    assert call(area, (Arg.of(5), named)) == 15.0


def test_a_name_that_is_no_parameter_counts_as_a_position_as_in_go():
    assert call(area, (Arg.of(2, name="w"), Arg.of(4, name="h"))) == 8.0


def test_what_is_left_over_goes_to_the_variable_arguments():
    assert call(total, Parameters(total).to_args((1, 2, 3), {})) == 6
    assert call(total, ()) == 0
    assert call(total, None) == 0


def test_variable_keywords_travel_by_name():
    args = Parameters(label).to_args(("a",), {"color": "red"})
    assert wire(*args) == [("", "string", b'"a"'), ("color", "string", b'"red"')]
    assert call(label, args) == "a{'color': 'red'}"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "missing argument 'width'"),
        ((Arg.of(1, name="height"),), "missing argument 'width'"),
        ((Arg.of(1), Arg.of(2), Arg.of(3)), "takes 2 arguments but 3 were given"),
        ((Arg.of("wide"),), "argument 'width'"),
        ((Arg.of(1), Arg(type="int64", value=Arg.of("x").value)), "argument 'height'"),
    ],
)
def test_what_does_not_fit_on_the_worker_names_the_parameter(args, message):
    with pytest.raises(ArgumentError, match=message):
        Parameters(area).to_call(args)


def test_what_go_has_no_type_for_is_rebuilt_by_the_annotation():
    def move(point: Point, on: datetime.date, path: list[list[int]]) -> None: ...

    args = Parameters(move).to_args((Point(1, 2), datetime.date(2026, 1, 2), [[1], [2]]), {})
    assert [arg.type for arg in args] == ["json", "json", "json"]
    positional, _ = Parameters(move).to_call(args)
    assert list(positional) == [Point(1, 2), datetime.date(2026, 1, 2), [[1], [2]]]


def test_a_value_without_a_form_on_the_wire_is_refused_at_send():
    with pytest.raises(EncodeError):
        Parameters(total).to_args((object(),), {})


def test_the_context_is_not_a_parameter():
    def crawl(context: object, url: str) -> None: ...

    parameters = Parameters(crawl, skip_first=True)
    assert parameters.names == ("url",)
    assert wire(*parameters.to_args(("a",), {})) == [("", "string", b'"a"')]


def test_a_name_that_only_type_checkers_see_costs_the_others_nothing():
    def crawl(page: "Page", depth: "int") -> "str":
        return ""

    parameters = Parameters(crawl)
    assert parameters.annotations["depth"] is int
    assert parameters.returns is str
    with pytest.raises(ArgumentError, match="argument 'depth'"):
        parameters.to_call((Arg.of("any"), Arg.of("x")))


def test_the_value_of_a_sensitive_parameter_is_not_told():
    with pytest.raises(ArgumentError, match="argument 'width': its value does not fit and is not shown"):
        Parameters(area, sensitive=("width",)).to_call((Arg.of("4111 1111"),))
