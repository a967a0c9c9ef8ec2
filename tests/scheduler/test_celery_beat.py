"""Schedules of django-celery-beat become ours, or it is said why not."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from django_machinery import servers
from django_machinery.models import Schedule
from tests.databases import on_databases

TABLES = {
    "crontabschedule": "id integer, minute varchar(240), hour varchar(96), day_of_month varchar(124), "
    "month_of_year varchar(64), day_of_week varchar(64), timezone varchar(63)",
    "intervalschedule": "id integer, every integer, period varchar(24)",
    "periodictask": "name varchar(200), task varchar(200), args text, kwargs text, queue varchar(200), "
    "priority integer, enabled {bool}, one_off {bool}, start_time {time}, expires {time}, "
    "crontab_id integer, interval_id integer, solar_id integer, clocked_id integer, headers text, "
    "expire_seconds integer, exchange varchar(200), routing_key varchar(200)",
}
"""The columns of django-celery-beat 2.9 that matter."""
TIMES = {"postgresql": "timestamp with time zone", "mysql": "datetime(6)", "sqlite": "datetime"}


@pytest.fixture
def beat(database: str) -> Iterator[Any]:
    """`beat(name=..., crontab=..., interval=...)`: a periodic task in its tables."""
    connection = connections[database]

    def execute(statement: str, *values: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    def add(name: str, crontab: tuple[str, ...] = (), interval: tuple[int, str] | None = None, **columns: Any) -> None:
        row = {"name": name, "task": "clean", "args": "[]", "kwargs": "{}", "enabled": True, "one_off": False}
        key = abs(hash(name)) % 10**6
        if crontab:
            marks = ", ".join(["%s"] * 7)
            execute(f"INSERT INTO django_celery_beat_crontabschedule VALUES ({marks})", key, *crontab)
            row["crontab_id"] = key
        if interval:
            execute("INSERT INTO django_celery_beat_intervalschedule VALUES (%s, %s, %s)", key, *interval)
            row["interval_id"] = key
        row |= columns
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        execute(f"INSERT INTO django_celery_beat_periodictask ({names}) VALUES ({marks})", *row.values())

    for table, columns in TABLES.items():
        text = columns.format(bool="boolean", time=TIMES[connection.vendor])
        execute(f"CREATE TABLE django_celery_beat_{table} ({text})")
    yield add
    for table in TABLES:
        execute(f"DROP TABLE django_celery_beat_{table}")


@pytest.fixture(autouse=True)
def _task(database: str) -> Iterator[None]:
    def clean(days: int = 7, *, deep: bool = False) -> None:
        pass

    servers[database].register_task("clean", clean, queue="slow")
    yield
    servers.close_all()


def run(database: str, *options: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    arguments = (f"--server={database}", f"--database={database}", *options)
    call_command("machinery", "import_celery_beat", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@on_databases("default", "mariadb", "postgres")
def test_crontabs_and_intervals_are_imported(beat: Any, database: str):
    beat("nightly", ("30", "3", "*", "*", "mon-fri", "Europe/Berlin"), args="[3]", kwargs='{"deep": true}', priority=5)
    beat("often", interval=(90, "minutes"), enabled=False, start_time=datetime(2030, 1, 1), queue="fast")
    out, err = run(database)
    assert (out.splitlines()[-1], err) == ("2 imported, 0 not.", "")
    nightly, often = Schedule.objects.using(database).order_by("name")
    assert (nightly.spec, nightly.timezone, nightly.enabled) == ("30 3 * * 1-5", "Europe/Berlin", True)
    (signature,) = nightly.invocations
    assert (signature.name, signature.queue, signature.priority) == ("clean", "slow", 5)
    assert [(arg.name, bytes(arg.value)) for arg in signature.args or ()] == [("", b"3"), ("deep", b"true")]
    assert (often.spec, often.enabled, often.starts_at) == ("@every 5400s", False, datetime(2030, 1, 1, tzinfo=UTC))
    assert often.invocations[0].queue == "fast"


@on_databases("default")
@pytest.mark.parametrize(
    ("reason", "columns"),
    [
        ("neither a crontab nor an interval", {"solar_id": 1}),
        ("runs once", {"interval": (1, "days"), "one_off": True}),
        ("shorter than a second", {"interval": (1, "microseconds")}),
        ("both the day of the month", {"crontab": ("0", "0", "1", "*", "mon", "UTC")}),
        ("minute", {"crontab": ("61", "0", "*", "*", "*", "UTC")}),
        ("not in the tz database", {"crontab": ("0", "0", "*", "*", "*", "Mars/Olympus")}),
        ("'shop.gone' is not registered", {"interval": (1, "days"), "task": "shop.gone"}),
        ("do not fit clean", {"interval": (1, "days"), "args": "[1, 2, 3]"}),
        ("do not fit clean", {"interval": (1, "days"), "kwargs": "{"}),
        ("do not fit clean: argument 'days'", {"interval": (1, "days"), "args": '["x"]'}),
        ("hour: 'nine'", {"crontab": ("0", "nine", "*", "*", "*", "UTC")}),
        ("'1--2'", {"crontab": ("0", "1--2", "*", "*", "*", "UTC")}),
    ],
)
def test_what_cannot_be_imported_is_told(beat: Any, database: str, reason: str, columns: dict[str, Any]):
    beat("bad", **columns)
    out, err = run(database)
    assert err.startswith("not imported: bad: ")
    assert reason in err
    assert out.splitlines()[-1] == "0 imported, 1 not."
    assert not Schedule.objects.using(database).exists()


@on_databases("default")
@pytest.mark.parametrize(
    ("crontab", "spec"),
    [
        (("0", "22-2", "*", "*", "*"), "0 22,23,0,1,2 * * *"),
        (("0", "20-4/3", "*", "*", "*"), "0 20,23,2 * * *"),
        (("50-10/5", "*", "*", "*", "*"), "50,55,0,5,10 * * * *"),
        (("0", "3", "*", "*", "sunday"), "0 3 * * 0"),
        (("0", "3", "*", "*", "fri-mon"), "0 3 * * 5,6,0,1"),
        (("0", "3", "*", "*", "Monday-Friday"), "0 3 * * 1-5"),
        (("0", "3", "*", "november-february", "*"), "0 3 * 11,12,1,2 *"),
        (("*/15", "1-9/2,12", "28-2", "*/3", "*"), "*/15 1-9/2,12 28,29,30,31,1,2 */3 *"),
        (("0", "3", "1-31", "*", "mon"), "0 3 * * 1"),
        (("0", "3", "1", "*", "*/1"), "0 3 1 * *"),
    ],
)
def test_ranges_past_the_end_and_whole_names_are_mapped(beat: Any, database: str, crontab: tuple[str, ...], spec: str):
    beat("one", crontab=(*crontab, "UTC"))
    assert run(database)[0].splitlines()[0] == f"imported: one: {spec}"
    assert Schedule.objects.using(database).get().spec == spec


@on_databases("default")
def test_what_has_no_counterpart_is_told_and_headers_are_kept(beat: Any, database: str):
    beat("one", interval=(5, "minutes"), expire_seconds=60, routing_key="a.b", headers='{"tenant": "acme"}')
    assert run(database)[0].splitlines()[0] == (
        "imported, but without expire_seconds 60, routing_key a.b: one: @every 300s"
    )
    (signature,) = Schedule.objects.using(database).get().invocations
    assert dict(signature.headers or {}) == {"tenant": "acme"}


@on_databases("default")
def test_a_dry_run_changes_nothing_and_a_second_run_leaves_what_is_there(beat: Any, database: str):
    beat("often", interval=(5, "seconds"))
    run(database, "--dry-run")
    assert not Schedule.objects.using(database).exists()
    run(database)
    _, err = run(database)
    assert "there is a schedule of this name already" in err
    assert Schedule.objects.using(database).count() == 1


@on_databases("default")
def test_a_database_without_its_tables_is_told(database: str):
    with pytest.raises(CommandError, match="django_celery_beat_periodictask"):
        run(database)
