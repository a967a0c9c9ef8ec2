"""Schedules as rows: what they say of themselves, and what they refuse."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from django_machinery import Signature, servers
from django_machinery.exceptions import DecodeError
from django_machinery.models import Schedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _task() -> Iterator[None]:
    def add(number: int, *others: int) -> int:
        return number

    servers["default"].register_task("add", add)
    yield
    servers.close_all()


def make(**columns: object) -> Schedule:
    schedule = Schedule(**{"name": "nightly", "spec": "0 6 * * ?", "timezone": "Europe/Berlin", **columns})
    schedule.invocations = (Signature.of("add", 1),)
    return schedule


def test_the_next_runs_are_in_utc_and_follow_the_zone():
    runs = make().next_runs(2, after=datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert runs == [datetime(2026, 3, 28, 5, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC)]


def test_the_next_runs_keep_within_start_and_end():
    start = NOON + timedelta(days=10, hours=-7)
    schedule = make(spec="@every 1h", starts_at=start, ends_at=start + timedelta(hours=2))
    assert schedule.next_runs(5, after=NOON) == [start + timedelta(hours=hours) for hours in range(3)]


def test_words_name_the_zone_or_the_fault():
    assert make().words().endswith(", Europe/Berlin time")
    assert "06:00" in make().words()
    assert "time" not in make(spec="@every 90m").words()
    assert "61" in make(spec="61 * * * *").words()
    assert make(spec="61 * * * *").next_runs() == []


@pytest.mark.parametrize(
    ("field", "columns"),
    [
        ("spec", {"spec": "* * *"}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("timezone", {"timezone": "../etc/passwd"}),
        ("ends_at", {"starts_at": NOON, "ends_at": NOON - timedelta(seconds=1)}),
        ("signatures", {"kind": "chord"}),
    ],
)
def test_a_fault_is_told_at_its_field(field: str, columns: dict[str, object]):
    with pytest.raises(ValidationError) as caught:
        make(**columns).clean()
    assert list(caught.value.message_dict) == [field]


@pytest.mark.parametrize(
    ("kind", "signatures", "said"),
    [
        ("task", [Signature.of("gone", 1)], "gone is not registered"),
        ("task", [Signature.of("add", "x")], "argument 'number'"),
        ("task", [Signature(name="add")], "missing argument 'number'"),
        ("group", [Signature.of("add", 1), Signature(name="add")], "missing argument 'number'"),
        ("chain", [Signature.of("add", 1), Signature.of("add", "x")], "argument 'number'"),
        ("chain", [Signature.of("add", 1), Signature(name="add", immutable=True)], "missing argument 'number'"),
    ],
)
def test_tasks_have_to_be_registered_and_their_arguments_to_fit(kind: str, signatures: list[Signature], said: str):
    schedule = make(kind=kind)
    schedule.invocations = signatures
    with pytest.raises(ValidationError, match=re.escape(said)):
        schedule.full_clean(validate_unique=False, validate_constraints=False)


@pytest.mark.parametrize("kind", ["chain", "chord"])
def test_what_gets_results_may_lack_arguments(kind: str):
    schedule = make(kind=kind)
    schedule.invocations = (Signature.of("add", 1), Signature(name="add"))
    schedule.clean()


def test_a_server_that_the_settings_do_not_have_is_told():
    with pytest.raises(ValidationError) as caught:
        make(server="gone").clean()
    assert list(caught.value.message_dict) == ["server"]


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", "null", "[" * 100_000])
def test_signatures_that_are_none_are_refused(text: str):
    schedule = make()
    schedule.signatures = text
    with pytest.raises(DecodeError):
        _ = schedule.invocations
    with pytest.raises(ValidationError):
        schedule.clean()


def test_signatures_survive_to_the_byte():
    schedule = make()
    signature = Signature.of("add", 2**62, "\u2028<é>", headers={"a": "b"}, on_success=[Signature(name="log")])
    schedule.invocations = (signature, Signature(name="x", args=(1.0,)))
    assert schedule.invocations[0] == signature
    assert bytes((schedule.invocations[1].args or ())[0].value) == b"1"


def test_a_row_shows_its_name():
    assert str(make()) == "nightly"
