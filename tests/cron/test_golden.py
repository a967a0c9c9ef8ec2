"""The answers in golden/cron.jsonl that are not this package's: each with its reason."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from django_machinery.cron import DstPolicy
from tests.proofs.cron_golden import AS_GO, Difference, cases, differences

HALF_HOURS = "robfig/cron walks in steps of an hour and passes by the times next to a change of half an hour"
IN_THE_GAP = "the clock goes from 02:00 to 03:00: what is due in between is due at its end"

ALWAYS = {
    Difference(
        "25,53,22 6,13,12 4-28/6 * WED,SUN,1", "Australia/Lord_Howe", "2019-04-07T06:22:00+10:30", "ours"
    ): HALF_HOURS,
    Difference(
        "25,53,22 6,13,12 4-28/6 * WED,SUN,1", "Australia/Lord_Howe", "2019-04-07T06:25:00+10:30", "ours"
    ): HALF_HOURS,
    Difference("7 21 28/3 */3 0-3/6", "Australia/Lord_Howe", "2028-04-02T21:07:00+10:30", "ours"): HALF_HOURS,
    Difference("11 13-16 * 10 0", "Australia/Lord_Howe", "2028-10-01T13:11:00+11:00", "ours"): HALF_HOURS,
}
BY_DEFAULT = ALWAYS | {
    Difference("29-43 2 * * */8", "America/New_York", "2019-03-10T03:00:00-04:00", "ours"): IN_THE_GAP,
}


def found(dst: DstPolicy) -> Iterator[Difference]:
    for case in cases():
        if "next" in case:
            yield from differences(case, dst)


@pytest.mark.parametrize(("dst", "listed"), [(DstPolicy(), BY_DEFAULT), (AS_GO, ALWAYS)], ids=["default", "as Go"])
def test_these_are_all_differences(dst: DstPolicy, listed: dict[Difference, str]):
    assert set(found(dst)) == set(listed)


@pytest.mark.parametrize("difference", ALWAYS, ids=lambda difference: difference.tick)
def test_where_robfig_cron_passes_by_a_half_hour_the_wall_shows_the_time_of_the_spec(difference: Difference):
    tick = datetime.fromisoformat(difference.tick)
    shown = tick.astimezone(UTC).astimezone(ZoneInfo(difference.zone))
    assert (shown.hour, shown.minute) == (tick.hour, tick.minute)
