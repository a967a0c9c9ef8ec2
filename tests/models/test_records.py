"""What operators read is kept for its time, whatever the broker."""

from datetime import UTC, datetime, timedelta

import pytest

from django_machinery.models import (
    Attempt,
    Cancellation,
    DeadLetter,
    Lock,
    Progress,
    Stat,
    UniqueKey,
    WorkerProcess,
    records,
)

DAY = timedelta(days=1)


def of_age(database: str, ago: timedelta) -> None:
    """A row of each kind that came to its end so long ago."""
    when, key = datetime.now(UTC) - ago, str(ago)
    Attempt.objects.using(database).create(uuid=key, name="add", number=1, ended_at=when, outcome="error")
    Cancellation.objects.using(database).create(server="", uuid=key, requested_at=when)
    DeadLetter.objects.using(database).create(server="", queue="", body=b"", reason="poison", died_at=when)
    Lock.objects.using(database).create(name=key, value=0, token="", expires_at=when)
    Progress.objects.using(database).create(uuid=key, updated_at=when)
    Stat.objects.using(database).create(minute=when, server=key, queue="", name="", outcome="", span=3600)
    UniqueKey.objects.using(database).create(key=key, uuid="", until=when)
    WorkerProcess.objects.using(database).create(token=key, started_at=when, beat_at=when, lease_until=None)


def kept(database: str) -> dict[str, int]:
    kinds = (Attempt, Cancellation, DeadLetter, Lock, Progress, Stat, UniqueKey, WorkerProcess)
    return {kind.__name__: kind._default_manager.using(database).count() for kind in kinds}


@pytest.mark.parametrize(
    ("days", "forgotten"),
    [
        (0.5, set()),
        (2, {"Lock", "UniqueKey", "WorkerProcess"}),
        (31, {"Lock", "UniqueKey", "WorkerProcess", "Attempt", "Cancellation", "DeadLetter", "Progress"}),
        (
            91,
            {"Lock", "UniqueKey", "WorkerProcess", "Attempt", "Cancellation", "DeadLetter", "Progress", "Stat"},
        ),
    ],
)
def test_each_kind_is_forgotten_in_its_time(database: str, days: float, forgotten: set[str]):
    of_age(database, days * DAY)
    records.expire(database, None)
    assert {kind for kind, count in kept(database).items() if not count} == forgotten


def test_what_is_known_of_failures_goes_with_the_results_where_their_time_is_set(database: str):
    of_age(database, timedelta(hours=2))
    records.expire(database, 3600)
    gone = {kind for kind, count in kept(database).items() if not count}
    assert gone == {"Attempt", "Cancellation", "DeadLetter", "Progress"}


def test_it_deletes_a_little_at_a_time(database: str):
    for minutes in range(5):
        of_age(database, 31 * DAY + timedelta(minutes=minutes))
    counts = []
    for _ in range(3):
        records.expire(database, None, limit=2)
        counts.append(DeadLetter.objects.using(database).count())
    assert counts == [3, 1, 0]
