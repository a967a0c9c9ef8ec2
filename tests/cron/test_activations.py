"""When specs are due: by hand at a few changes of offset; `tests/proofs` has all of them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from django_machinery.cron import GAP_NEXT, GAP_SKIP, OVERLAP_BOTH, OVERLAP_FIRST, DstPolicy, parse

BERLIN = ZoneInfo("Europe/Berlin")
"""02:00 becomes 03:00 on 2026-03-29, 03:00 becomes 02:00 on 2026-10-25; both at 01:00 UTC."""
SPRING = datetime(2026, 3, 29, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)


def due(text: str, day: datetime, gap: str, overlap: str, zone: ZoneInfo = BERLIN) -> list[str]:
    """Times of UTC in the six hours that follow `day`."""
    dst = DstPolicy(
        gap=GAP_NEXT if gap == "next" else GAP_SKIP, overlap=OVERLAP_BOTH if overlap == "both" else OVERLAP_FIRST
    )
    return [f"{tick:%H:%M}" for tick in parse(text).between(day, day + timedelta(hours=6), zone, dst)]


@pytest.mark.parametrize(
    ("text", "gap", "expected"),
    [
        ("30 2 * * *", "skip", []),
        ("30 2 * * *", "next", ["01:00"]),
        ("0 2 * * *", "next", ["01:00"]),
        ("0 3 * * *", "next", ["01:00"]),
        ("0,15,30 2,3 * * *", "next", ["01:00", "01:15", "01:30"]),
        ("0,15,30 2,3 * * *", "skip", ["01:00", "01:15", "01:30"]),
        ("20,40 1-3 * * *", "next", ["00:20", "00:40", "01:00", "01:20", "01:40"]),
        ("30 * * * *", "next", ["00:30", "01:30", "02:30", "03:30", "04:30", "05:30"]),
    ],
)
def test_where_the_clock_skips_an_hour(text: str, gap: str, expected: list[str]):
    assert due(text, SPRING, gap, "first") == expected


@pytest.mark.parametrize(
    ("text", "overlap", "expected"),
    [
        ("30 2 * * *", "first", ["00:30"]),
        ("30 2 * * *", "both", ["00:30", "01:30"]),
        ("0 3 * * *", "both", ["02:00"]),
        ("20,40 2-3 * * *", "first", ["00:20", "00:40", "02:20", "02:40"]),
        ("20,40 2-3 * * *", "both", ["00:20", "00:40", "01:20", "01:40", "02:20", "02:40"]),
        ("30 * * * *", "first", ["00:30", "01:30", "02:30", "03:30", "04:30", "05:30"]),
    ],
)
def test_where_the_clock_repeats_an_hour(text: str, overlap: str, expected: list[str]):
    assert due(text, AUTUMN, "next", overlap) == expected


@pytest.mark.parametrize("minute", range(0, 60, 10))
def test_the_second_showing_is_known_from_within_it(minute: int):
    inside = AUTUMN + timedelta(hours=1, minutes=minute)
    first = parse("50 2 * * *").next(inside, BERLIN, DstPolicy(overlap=OVERLAP_FIRST))
    both = parse("50 2 * * *").next(inside, BERLIN, DstPolicy(overlap=OVERLAP_BOTH))
    assert first == AUTUMN + timedelta(days=1, hours=1, minutes=50)
    assert both == (first if minute == 50 else AUTUMN + timedelta(hours=1, minutes=50))


def test_by_default_a_nightly_task_runs_once_in_every_night():
    ticks = list(
        parse("30 2 * * *").between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), BERLIN)
    )
    assert len(ticks) == 365
    assert {tick.astimezone(BERLIN).date() for tick in ticks} == {
        datetime(2026, 1, 1).date() + timedelta(days) for days in range(365)
    }


def test_a_task_of_every_five_minutes_neither_pauses_nor_piles_up():
    spec = parse("*/5 * * * *")
    for day in (SPRING, AUTUMN):
        ticks = list(spec.between(day, day + timedelta(days=1), BERLIN))
        assert ticks == [day + timedelta(minutes=5 * number) for number in range(1, 289)]


def test_a_day_that_a_zone_left_out_is_made_up_for_when_it_ends():
    """Samoa went from 29 to 31 December 2011 at midnight, 10:00 UTC."""
    apia, start = ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 9, tzinfo=UTC)
    end = start + timedelta(hours=12)
    assert list(parse("0 6 * * *").between(start, end, apia)) == [
        datetime(2011, 12, 30, 10, tzinfo=UTC),
        datetime(2011, 12, 30, 16, tzinfo=UTC),
    ]
    assert list(parse("0 6 30 12 *").between(start, end, apia, DstPolicy(gap=GAP_SKIP))) == []


def test_offsets_with_seconds_are_kept():
    """Liberia was 44:30 behind until 1972."""
    tick = parse("0 6 * * *").next(datetime(1971, 6, 1, tzinfo=UTC), ZoneInfo("Africa/Monrovia"))
    assert tick == datetime(1971, 6, 1, 6, 44, 30, tzinfo=UTC)


def test_a_change_at_the_very_new_year_is_seen():
    """Lisbon went from 36:45 behind to UTC when 1912 began in London."""
    new_year = datetime(1912, 1, 1, tzinfo=UTC)
    lisbon, start, end = ZoneInfo("Europe/Lisbon"), new_year - timedelta(hours=12), new_year + timedelta(hours=12)
    assert list(parse("30 23 * * *").between(start, end, lisbon)) == [new_year]
    assert list(parse("0 0 * * *").between(start, end, lisbon, DstPolicy(gap=GAP_SKIP))) == [new_year]


def test_the_zone_of_the_spec_goes_first():
    tick = parse("TZ=Asia/Tokyo 0 6 * * *").next(SPRING, BERLIN)
    assert tick == datetime(2026, 3, 29, 21, tzinfo=UTC)


def test_a_zone_may_be_a_fixed_offset():
    tick = parse("0 6 * * *").next(SPRING, timezone(timedelta(hours=5, minutes=45)))
    assert tick == datetime(2026, 3, 29, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (datetime(2026, 1, 1, 5, 59, 59, 999_999), datetime(2026, 1, 1, 6)),
        (datetime(2026, 1, 1, 6), datetime(2026, 1, 2, 6)),
        (datetime(2026, 1, 1, 6, 0, 0, 1), datetime(2026, 1, 2, 6)),
    ],
)
def test_the_next_activation_is_strictly_later(after: datetime, expected: datetime):
    assert parse("0 6 * * *").next(after.replace(tzinfo=UTC), UTC) == expected.replace(tzinfo=UTC)


def test_a_range_is_open_at_its_start_and_closed_at_its_end():
    start = datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert list(parse("0 6 * * *").between(start, start + timedelta(days=1), UTC)) == [start + timedelta(days=1)]
    assert list(parse("@every 12h").between(start, start + timedelta(hours=6), UTC)) == [start + timedelta(hours=6)]


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", ", * * * *", "0 0 , * *"])
def test_what_is_never_due_ends_the_search(text: str):
    assert parse(text).next(SPRING, BERLIN) is None


def test_the_search_ends_with_the_fifth_year():
    leap_day = parse("0 0 29 2 *")
    assert leap_day.next(datetime(2096, 3, 1, tzinfo=UTC), UTC) is None
    assert leap_day.next(datetime(2099, 1, 1, tzinfo=UTC), UTC) == datetime(2104, 2, 29, tzinfo=UTC)
    assert leap_day.next(datetime(2098, 12, 31, 23, 59, 58, tzinfo=UTC), UTC) is None
    assert leap_day.next(datetime(2098, 12, 31, 23, 59, 59, tzinfo=UTC), UTC) == datetime(2104, 2, 29, tzinfo=UTC)


def test_the_end_of_the_calendar_is_no_error():
    assert parse("0 0 1 1 *").next(datetime(9990, 6, 1, tzinfo=UTC), BERLIN) is not None


@pytest.mark.parametrize(("period", "seconds"), [("1s", 1), ("7s", 7), ("1h30m", 5400), ("24h", 86400)])
def test_every_is_due_at_multiples_of_its_period_since_1970(period: str, seconds: int):
    after = datetime(2026, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
    tick = parse(f"@every {period}").next(after, BERLIN)
    assert tick is not None
    assert tick.timestamp() % seconds == 0
    assert timedelta(0) < tick - after <= timedelta(seconds=seconds)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        parse("0 6 * * *").next(datetime(2026, 1, 1), UTC)
    with pytest.raises(ValueError, match="aware"):
        parse("@every 1s").next(datetime(2026, 1, 1), UTC)


@pytest.mark.parametrize("words", [{"gap": "both"}, {"overlap": "next"}])
def test_a_policy_has_only_the_words_that_there_are(words: dict[str, str]):
    with pytest.raises(ValueError, match="should be"):
        DstPolicy(**words)  # type: ignore[arg-type]
