"""Schedules that are declared in code: by decorator and by server, kept in line with their rows by every worker."""

import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from django_machinery import Signature, cron, periodic, servers, task
from django_machinery.checks import check_tasks
from django_machinery.exceptions import ArgumentError, ConfigurationError, CronError
from django_machinery.models import Schedule
from django_machinery.registry import PeriodicDefinition, Registry, tasks
from django_machinery.server import Server
from tests.databases import on_databases
from tests.scheduler.conftest import NOON, Clock, Looker

pytestmark = on_databases("default")


@pytest.fixture(autouse=True)
def _no_trace(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tasks, "_periodic", {})
    yield
    servers.close_all()


def row(name: str) -> Schedule:
    return Schedule.objects.get(name=name)


def forget(server: Server, name: str) -> None:
    """As a version of the code does that has the schedule no more."""
    del server.registry._periodic["default", name]


def test_a_decorated_task_is_sent(looker: Looker):
    @periodic("@every 1m", name="often", kwargs={"number": 2})
    @periodic("@every 1h")
    @task(name="tests.declared", queue="slow")
    def declared(number: int = 1) -> None:
        pass

    looker.look()
    looker.look(minutes=1)
    (sent,) = looker.waiting
    assert (sent.name, sent.queue) == ("tests.declared", "slow")
    assert [(arg.name, bytes(arg.value)) for arg in sent.args or ()] == [("number", b"2")]
    assert {schedule.name for schedule in Schedule.objects.filter(origin="code")} == {"tests.declared", "often"}
    assert declared.definition.name == "tests.declared"


def test_without_the_library_for_specs_the_checks_say_so_and_nothing_else_fails(monkeypatch: pytest.MonkeyPatch):
    cron.parse.cache_clear()
    monkeypatch.setitem(sys.modules, "croniter", None)
    monkeypatch.setattr(tasks, "unreadable", {})

    @periodic("0 6 * * ?")
    @periodic("@every 1h", name="often")
    @task(name="tests.daily")
    def daily() -> None:
        pass

    assert [definition.name for definition in tasks.periodic("default")] == ["often"]
    [message] = [message for message in check_tasks() if message.id == "machinery.E015"]
    assert message.msg.startswith("The schedule 'tests.daily' cannot be read: Cron specs need the extra: pip install")


def test_a_decorator_refuses_what_makes_no_sense():
    @task(name="tests.refusing")
    def refusing(number: int) -> None:
        pass

    with pytest.raises(CronError, match="hour"):
        periodic("0 25 * * *", args=[1])(refusing)
    with pytest.raises(TypeError):
        periodic("@hourly")(refusing)
    with pytest.raises(TypeError, match="no option 'zone'"):
        periodic("@hourly", zone="UTC")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="above @task"):
        periodic("@hourly")(refusing.definition.func)  # type: ignore[type-var]
    with pytest.raises(ArgumentError, match="number"):
        periodic("@hourly", args=["x"])(refusing)
    for option, value in (
        ("timezone", "Mars/Olympus"),
        ("missed", "never"),
        ("run_overlap", "maybe"),
        ("dst_gap", "jump"),
        ("catch_up", -1),
        ("catch_up", 2**31),
        ("starts_at", NOON.replace(tzinfo=None)),
    ):
        with pytest.raises(ConfigurationError, match=r"tests\.refusing"):
            periodic("@hourly", args=[1], **{option: value})(refusing)  # type: ignore[arg-type]
    assert tasks.periodic("default") == []


def test_two_decorators_of_one_name_are_refused_but_not_those_of_a_reload():
    def declare(name: str) -> None:
        @task(name=name)
        def again() -> None:
            pass

        periodic("@hourly", name="hourly")(again)

    declare("tests.again")
    declare("tests.again")

    @task(name="tests.twice")
    def twice() -> None:
        pass

    periodic("@hourly")(twice)
    with pytest.raises(ConfigurationError, match="name="):
        periodic("@daily")(twice)
    with pytest.raises(ConfigurationError, match="name="):
        periodic("@daily", name="hourly")(twice)
    assert [(each.name, each.spec) for each in tasks.periodic("default")] == [
        ("hourly", "@hourly"),
        ("tests.twice", "@hourly"),
    ]


ONE = Signature(name="add")


@pytest.mark.parametrize(
    ("spec", "name", "kind", "signatures"),
    [
        ("@hourly", "x" * 191, "task", (ONE,)),
        ("@hourly", "", "task", (ONE,)),
        ("@hourly", "nul\0", "task", (ONE,)),
        ("@hourly", "half of a pair \ud800", "task", (ONE,)),
        (",".join(["1"] * 130) + " * * * *", "long spec", "task", (ONE,)),
        ("@hourly", "no task", "task", ()),
        ("@hourly", "two tasks", "task", (ONE, ONE)),
        ("@hourly", "no step", "chain", ()),
        ("@hourly", "no member", "group", ()),
        ("@hourly", "no member but a callback", "chord", (ONE,)),
    ],
)
def test_what_no_row_could_hold_or_no_scheduler_send_is_refused_at_once(
    spec: str, name: str, kind: str, signatures: tuple[Signature, ...]
):
    with pytest.raises(ConfigurationError, match="cannot be used"):
        PeriodicDefinition(name, spec, kind, signatures)  # type: ignore[arg-type]


def test_a_row_that_was_deleted_is_written_again(server: Server, looker: Looker):
    server.register_periodic_task("@every 1h", "kept", Signature(name="add"))
    looker.look()
    Schedule.objects.all().delete()
    looker.look(minutes=1)
    assert row("kept").next_at == NOON + timedelta(hours=1)


def test_every_kind_is_registered_as_in_go(server: Server, looker: Looker):
    one, two = Signature.of("add", 1), Signature.of("add", 2)
    server.register_periodic_task("@every 1m", "a task", one)
    server.register_periodic_chain("@every 1m", "a chain", one, two)
    server.register_periodic_group("@every 1m", "a group", 10, one, two)
    server.register_periodic_chord("@every 1m", "a chord", 10, Signature(name="sum"), one, two)
    looker.look()
    kinds = {schedule.kind: [s.name for s in schedule.invocations] for schedule in Schedule.objects.all()}
    assert kinds == {"task": ["add"], "chain": ["add"] * 2, "group": ["add"] * 2, "chord": ["add", "add", "sum"]}
    looker.look(minutes=1)
    assert len(looker.waiting) == 1 + 1 + 2 + 2


def test_options_reach_the_row_and_a_changed_definition_changes_it(server: Server, clock: Clock):
    server.register_periodic_task(
        "0 6 * * ?", "nightly", Signature(name="add"), timezone="Asia/Tokyo", missed="skip", run_overlap="skip"
    )
    Looker(server, clock).look()
    assert (row("nightly").timezone, row("nightly").missed, row("nightly").run_overlap) == (
        "Asia/Tokyo",
        "skip",
        "skip",
    )
    server.register_periodic_task("0 7 * * ?", "nightly", Signature(name="multiply"), catch_up=60)
    Looker(server, clock).look()
    nightly = row("nightly")
    assert (nightly.spec, nightly.timezone, nightly.missed, nightly.catch_up) == ("0 7 * * ?", "", "one", 60)
    assert nightly.invocations[0].name == "multiply"


def test_what_is_declared_while_a_scheduler_runs_is_seen(server: Server, looker: Looker):
    looker.look()
    server.register_periodic_task("@every 1m", "late", Signature(name="add"))
    looker.look(seconds=1)
    assert row("late").next_at == NOON + timedelta(minutes=1)


def test_a_schedule_is_sent_only_by_versions_that_declare_it(server: Server, clock: Clock):
    server.register_periodic_task("@every 1m", "old", Signature(name="add"))
    old = Looker(server, clock)
    old.look()
    forget(server, "old")
    new = Looker(server, clock)
    new.look(minutes=1)
    assert new.waiting == []
    server.register_periodic_task("@every 1m", "old", Signature(name="add"))
    old.look()
    assert len(old.waiting) == 1


def test_a_row_that_nobody_declares_is_deleted_after_a_week(server: Server, clock: Clock):
    server.register_periodic_task("@every 24h", "old", Signature(name="add"))
    Looker(server, clock).look()
    forget(server, "old")
    others = Looker(server, clock)
    others.look(days=6)
    assert Schedule.objects.filter(name="old").exists()
    others.look(days=2)
    assert not Schedule.objects.filter(name="old").exists()


def test_a_row_that_is_declared_is_never_deleted_however_long_all_workers_were_away(server: Server, clock: Clock):
    server.register_periodic_task("@every 24h", "kept", Signature(name="add"))
    Looker(server, clock).look()
    key = row("kept").pk
    back = Looker(server, clock)
    back.look(days=30)
    assert row("kept").pk == key
    assert len(back.waiting) == 1


def test_a_schedule_made_by_hand_keeps_its_name(server: Server, looker: Looker, caplog: pytest.LogCaptureFixture):
    mine = Schedule(name="nightly", spec="@every 1h")
    mine.invocations = (Signature(name="mine"),)
    mine.save()
    server.register_periodic_task("@every 1m", "nightly", Signature(name="theirs"))
    looker.look()
    looker.look(minutes=1)
    assert row("nightly").invocations[0].name == "mine"
    assert looker.waiting == []
    assert "made by hand" in caplog.text


def test_a_server_has_its_own_schedules_and_those_of_its_alias():
    shared = Registry()
    own = Registry(shared)
    for registry, server, name in ((shared, "default", "a"), (shared, "other", "b"), (own, "default", "c")):
        registry.register_periodic(PeriodicDefinition(name, "@hourly", "task", (Signature(name="add"),), server))
    assert [definition.name for definition in own.periodic("default")] == ["a", "c"]
    assert [definition.name for definition in own.periodic("other")] == ["b"]
