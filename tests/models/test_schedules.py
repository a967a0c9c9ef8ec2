"""Schedules as rows: what they say of themselves, and what they refuse."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from django_machinery import Signature
from django_machinery.exceptions import DecodeError
from django_machinery.models import Schedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


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
