"""Which specs are accepted, and what they mean."""

import sys
import tracemalloc
from contextlib import suppress
from datetime import timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from django_machinery.cron import CronError, parse
from django_machinery.cron.walls import WallTimes
from django_machinery.exceptions import ConfigurationError, MachineryError

ALL_DAYS = tuple(range(1, 32))
ALL_MONTHS = tuple(range(1, 13))
ALL_WEEKDAYS = tuple(range(7))


def walls(text: str) -> WallTimes:
    timing = parse(text).timing
    assert isinstance(timing, WallTimes)
    return timing


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("*", range(60)),
        ("?", range(60)),
        ("*/20", (0, 20, 40)),
        ("?/20", (0, 20, 40)),
        ("5/20", (5, 25, 45)),
        ("10-30/7", (10, 17, 24)),
        ("50,5,5", (5, 50)),
        ("+5", (5,)),
        ("007", (7,)),
        ("7-7", (7,)),
        ("7-7/3", (7,)),
        ("5,,6,", (5, 6)),
        ("*-5", range(60)),
        ("*-x/30", (0, 30)),
        ("*/9223372036854775807", (0,)),
        ("5,*", range(60)),
        (",", ()),
    ],
)
def test_a_field_has_the_values_that_robfig_cron_gives_it(text: str, minutes: tuple[int, ...]):
    assert walls(f"{text} 0 * * *").minutes == tuple(minutes)


def test_every_range_with_every_step_is_what_range_says():
    for first, last, step in product(range(0, 60, 7), range(0, 60, 7), (1, 2, 5, 31, 59, 60, 61)):
        if first <= last:
            assert walls(f"{first}-{last}/{step} * * * *").minutes == tuple(range(first, last + 1, step))


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [
        ("7", (0,)),
        ("5-7", (0, 5, 6)),
        ("0-7", ALL_WEEKDAYS),
        ("1-7/2", (0, 1, 3, 5)),
        ("7-7/2", (0,)),
        ("MON-fri", (1, 2, 3, 4, 5)),
        ("Sat-7", (0, 6)),
        ("fri/1", (5, 6)),
        ("*/7", (0,)),
    ],
)
def test_days_of_the_week_have_names_and_7_is_sunday(text: str, weekdays: tuple[int, ...]):
    assert walls(f"0 0 * * {text}").weekdays == weekdays


def test_months_have_names():
    assert walls("0 0 * JAN-mar,Dec *").months == (1, 2, 3, 12)


@pytest.mark.parametrize(
    ("days", "weekdays", "either"),
    [
        ("13", "5", True),
        ("*", "5", False),
        ("13", "?", False),
        ("13", "*/1", False),
        ("13", "*/2", True),
        ("1-31", "5", True),
        ("13", "1,*", False),
    ],
)
def test_a_date_needs_both_of_its_days_only_where_one_is_a_star(days: str, weekdays: str, either: bool):
    assert walls(f"0 0 {days} * {weekdays}").either is either


@pytest.mark.parametrize(
    ("descriptor", "fields"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_descriptors_stand_for_fields(descriptor: str, fields: str):
    assert parse(descriptor).timing == parse(fields).timing


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5h", 5400),
        ("1.9s", 1),
        ("500ms", 1),
        ("2500ms", 2),
        ("0", 1),
        ("-1h", 1),
        ("+2m", 120),
        (".5m", 30),
        ("3.s", 3),
        ("3000000us", 3),
        ("3000000\xb5s", 3),
        ("3000000\u03bcs", 3),
        ("4000000000ns", 4),
        ("1s1s", 2),
        ("0" * 5000 + "1s", 1),
        ("2562047h47m16.854775807s", 9223372036),
    ],
)
def test_every_takes_durations_of_go_in_whole_seconds_at_least_one(duration: str, seconds: int):
    assert parse(f"@every {duration}").every == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "duration",
    [
        "",
        "x",
        "1",
        "1d",
        "1h 30m",
        " 1h",
        "h",
        ".s",
        "1.2.3s",
        "--1s",
        "1H",
        "2562048h",
        "9" * 5000 + "h",
        "\u0661s",
        "1h\n",
    ],
)
def test_every_refuses_what_is_no_duration_of_go(duration: str):
    with pytest.raises(CronError, match="@every"):
        parse(f"@every {duration}")


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("CRON_TZ=America/New_York 30 2 * * *", "America/New_York"),
        ("TZ=Asia/Tokyo @daily", "Asia/Tokyo"),
        ("TZ=Asia/Tokyo   30 4 * * * \t", "Asia/Tokyo"),
        ("TZ= 0 0 * * *", "UTC"),
        ("CRON_TZ=UTC @every 1h", "UTC"),
    ],
)
def test_a_spec_can_name_its_zone(text: str, zone: str):
    assert parse(text).zone == ZoneInfo(zone)
    assert parse(text).text == text


def test_the_zone_local_is_that_of_the_schedule():
    assert parse("TZ=Local 0 0 * * *").zone is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("* * * *", "here are 4"),
        ("* * * * * *", "here are 6"),
        (" @daily", "here are 1"),
        ("@daily ", "descriptor"),
        ("@reboot", "descriptor"),
        ("@Every 1h", "descriptor"),
        ("60 * * * *", "minute: '60': 60 is above 59"),
        ("* 24 * * *", "hour: '24': 24 is above 23"),
        ("* * 0 * *", "day of month: '0': 0 is below 1"),
        ("* * * 13 *", "month: '13': 13 is above 12"),
        ("* * * * 8", "day of week: '8': 8 is above 7"),
        ("* * * * sat-sun", "day of week: 'sat-sun': the range ends \\(0\\) before it begins \\(6\\)"),
        ("60/5 * * * *", "minute: '60/5': 60 is above 59"),
        ("* * * * 8/2", "day of week: '8/2': 8 is above 7"),
        ("* * * * 7/2", "day of week: '7/2': no step goes on from 7: begin with 0"),
        ("1-5-9 * * * *", "more than one hyphen"),
        ("1/2/3 * * * *", "more than one slash"),
        ("*/0 * * * *", "the step is 0"),
        ("*/-0 * * * *", "the step is 0"),
        ("*/-5 * * * *", "'-5' is negative"),
        ("-5 * * * *", "'' is not a number"),
        ("0 0 L * *", "day of month: 'L': 'L' is not a number"),
        ("0 0 * MAYBE *", "month: 'MAYBE': 'MAYBE' is not a number or a name"),
        ("0 0 * * 5#2", "'5#2' is not a number or a name"),
        ("\u0663 * * * *", "is not a number"),
        ("1_0 * * * *", "is not a number"),
        ("*/9223372036854775808 * * * *", "too large"),
        ("0\x1c0 * * *", "here are 4"),
        ("0\x1c0 0 * * *", "is not a number"),
        ("TZ=Asia/Tokyo", "zone"),
        ("TZ=Nowhere/Zone 0 0 * * *", "zone: 'Nowhere/Zone'"),
        ("TZ=../UTC 0 0 * * *", "zone"),
        ("TZ=Europe 0 0 * * *", "zone"),
        ("TZ=\x00 0 0 * * *", "zone"),
    ],
)
def test_what_is_refused_is_named(text: str, fault: str):
    with pytest.raises(CronError, match=fault):
        parse(text)


def test_a_refusal_is_a_value_error_and_one_of_the_package():
    assert issubclass(CronError, ValueError)
    assert issubclass(CronError, MachineryError)


@pytest.mark.parametrize("space", ["\t", "\n", "\xa0", "\u2003", "\u3000"])
def test_fields_are_separated_by_what_go_takes_for_space(space: str):
    assert parse(space.join("06**?")).timing == parse("0 6 * * ?").timing


@pytest.mark.parametrize(
    "text",
    [
        "1-4000000000 * * * *",
        "*/4000000000 * * * *",
        f"*/{'9' * 100_000} * * * *",
        f"{'0' * 100_000}5 * * * *",
        f"@every {'9' * 100_000}h",
        f"@every 0.{'0' * 100_000}",
    ],
    ids=lambda text: text[:12],
)
def test_absurd_specs_take_no_memory(text: str):
    parse("0 0 * * *")
    tracemalloc.start()
    try:
        with suppress(CronError):
            parse(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(text) + 500_000


def test_an_error_quotes_no_more_than_the_beginning_of_an_absurd_spec():
    for text in (
        f"{'9' * 100_000} * * * *",
        f"@{'x' * 100_000}",
        f"@every {'x' * 100_000}",
        f"TZ={'x' * 100_000} @daily",
    ):
        with pytest.raises(CronError) as refusal:
            parse(text)
        assert len(str(refusal.value)) < 200


def test_without_croniter_an_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    parse.cache_clear()
    monkeypatch.setitem(sys.modules, "croniter", None)
    assert parse("@every 1s").every == timedelta(seconds=1)
    with pytest.raises(ConfigurationError, match=r"django-machinery\[cron\]"):
        parse("0 6 * * ?")
