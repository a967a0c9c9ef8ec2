"""What is sent when, on every engine: ticks, policies, changes, absurd clocks."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from django_machinery import Signature, servers
from django_machinery.models import Schedule, TaskState, Tick
from django_machinery.models.tick import TickManager
from django_machinery.protocol.states import SUCCESS
from django_machinery.scheduler.policy import MOST
from django_machinery.scheduler.scheduler import BATCH, Scheduler
from django_machinery.seams.backend import StateChange
from django_machinery.server import Server
from tests.contracts.support import race
from tests.databases import on_databases
from tests.scheduler.conftest import NOON, Clock, Looker, Make


def at(**time: float) -> datetime:
    return NOON + timedelta(**time)


def rows(schedule: Schedule, server: Server):
    return Schedule.objects.using(server.config.database).filter(pk=schedule.pk)


@on_databases("default", "mariadb", "postgres")
class TestOnEveryEngine:
    def test_a_schedule_is_sent_at_its_ticks_and_not_before(self, looker: Looker, make: Make):
        schedule = make("@every 1m")
        looker.look()
        looker.look(seconds=59)
        assert looker.ticks(schedule) == []
        looker.look(seconds=1)
        looker.look(seconds=30)
        looker.look(seconds=30)
        assert looker.ticks(schedule) == [at(minutes=1), at(minutes=2)]
        assert [sent.name for sent in looker.waiting] == ["add", "add"]

    def test_each_sending_has_a_uuid_of_its_own_and_so_have_its_callbacks(self, looker: Looker, make: Make):
        make("@every 1m", Signature.of("add", 1, uuid="fixed", on_success=[Signature(name="log", uuid="fixed too")]))
        looker.look()
        looker.look(minutes=1)
        looker.look(minutes=1)
        uuids = [uuid for sent in looker.waiting for uuid in (sent.uuid, sent.success_callbacks[0].uuid)]
        assert len(set(uuids)) == 4
        assert all(uuid.startswith("task_") for uuid in uuids)

    def test_the_row_knows_its_last_run_and_the_state_knows_its_schedule(
        self, looker: Looker, make: Make, server: Server
    ):
        schedule = make("@every 1m")
        looker.look()
        looker.look(minutes=1)
        row, (sent,) = rows(schedule, server).get(), looker.waiting
        assert (row.last_at, row.last_uuid, row.next_at) == (at(minutes=1), sent.uuid, at(minutes=2))
        state = TaskState.objects.using(server.config.database).get(uuid=sent.uuid)
        assert state.schedule_id == schedule.pk

    def test_schedulers_at_the_same_instant_send_each_tick_once(self, server: Server, clock: Clock, make: Make):
        schedules = [make("@every 1m") for _ in range(20)]
        schedulers = [Scheduler(server, clock) for _ in range(4)]
        for scheduler in schedulers:
            scheduler.look()
        for _ in range(3):
            clock.forward(minutes=1)
            race([partial(_look_through, scheduler) for scheduler in schedulers])
        ticks = Looker(server, clock)
        for schedule in schedules:
            assert ticks.ticks(schedule) == [at(minutes=minute) for minute in (1, 2, 3)]
        assert len(ticks.waiting) == 60

    def test_an_update_that_goes_round_save_is_seen_at_the_next_look(self, looker: Looker, make: Make, server: Server):
        schedule = make("0 0 1 1 ?", timezone="UTC")
        looker.look()
        rows(schedule, server).update(spec="30 12 * * ?")
        looker.look(seconds=1)
        assert rows(schedule, server).get().next_at == at(minutes=30)
        rows(schedule, server).update(timezone="Asia/Tokyo")
        looker.look(seconds=1)
        assert rows(schedule, server).get().next_at == at(hours=15, minutes=30)
        rows(schedule, server).update(dst_gap="skip")
        looker.look(seconds=1)
        assert rows(schedule, server).get().planned_for == "30 12 * * ? Asia/Tokyo skip first"

    def test_a_changed_schedule_is_not_sent_by_its_old_plan(self, looker: Looker, make: Make, server: Server):
        schedule = make("@every 1m")
        looker.look()
        rows(schedule, server).update(spec="@every 1h")
        looker.look(minutes=1)
        assert looker.ticks(schedule) == []

    def test_a_tick_that_has_a_row_is_not_sent_again(self, looker: Looker, make: Make, server: Server):
        schedule = make("@every 1m")
        looker.look()
        looker.look(minutes=1)
        rows(schedule, server).update(next_at=at(minutes=1))
        looker.look()
        assert looker.ticks(schedule) == [at(minutes=1)]
        assert len(looker.waiting) == 1
        assert rows(schedule, server).get().next_at == at(minutes=2)

    def test_what_cannot_be_read_is_told_and_holds_up_no_other(self, looker: Looker, make: Make, server: Server):
        bad = make("@every 1m")
        good = make("@every 1m")
        looker.look()
        rows(bad, server).update(spec="61 * * * *")
        looker.look(minutes=1)
        looker.look(minutes=1)
        assert looker.ticks(bad) == []
        assert looker.ticks(good) == [at(minutes=1), at(minutes=2)]
        assert rows(bad, server).get().next_at is None

    def test_a_definition_that_cannot_be_written_holds_up_no_other(
        self, server: Server, looker: Looker, database: str, caplog: pytest.LogCaptureFixture
    ):
        for name in ("a", "b", "c"):
            server.register_periodic_task("@every 1m", name, Signature(name=name))
        bad = server.registry.periodic(server.alias)[1]
        if database == "default":  # which refuses no text
            object.__setattr__(bad, "signatures", None)
        else:
            object.__setattr__(bad, "timezone", "longer than its column" * 10)
        looker.look()
        looker.look(minutes=1)
        assert {sent.name for sent in looker.waiting} == {"a", "c"}
        assert "b cannot be used" in caplog.text
        servers.close_all()

    def test_ticks_are_deleted_a_week_later(self, server: Server):
        ticks: TickManager = Tick.objects.db_manager(server.config.database)
        now = Schedule.objects.db_manager(server.config.database).now()
        for age in (1, 6, 8, 9):
            ticks.create(schedule_key="k", tick_at=now - timedelta(days=age), status="sent")
        assert ticks.expire(now - timedelta(days=7), 1) == 1
        assert ticks.expire(now - timedelta(days=7), 100) == 1
        assert ticks.count() == 2

    def test_the_clock_is_the_database_s(self, server: Server):
        now = Schedule.objects.db_manager(server.config.database).now()
        assert abs(now - datetime.now(now.tzinfo)) < timedelta(seconds=5)


def _look_through(scheduler: Scheduler) -> None:
    while scheduler.look() == 0.0:
        pass


@on_databases("default")
class TestPolicies:
    @pytest.mark.parametrize(
        ("missed", "catch_up", "sent"),
        [
            ("skip", None, []),
            ("one", None, [180]),
            ("one", 600, [180]),
            ("one", 60, []),
            ("all", None, [60, 120, 180]),
            ("all", 7320, [60, 120, 180]),
            ("all", 7319, [120, 180]),
            ("all", 60, []),
        ],
    )
    def test_what_was_missed_is_made_up_for_as_the_policy_says(
        self, looker: Looker, make: Make, missed: str, catch_up: int | None, sent: list[int]
    ):
        """Down from 12:00 to 15:02: three hourly ticks are missed."""
        schedule = make("@every 1h", missed=missed, catch_up=catch_up)
        looker.look()
        looker.look(hours=3, minutes=2)
        assert looker.ticks(schedule) == [at(minutes=minute) for minute in sent]
        looker.look(minutes=58)
        assert looker.ticks(schedule)[len(sent) :] == [at(hours=4)]

    @pytest.mark.parametrize("missed", ["skip", "one", "all"])
    def test_what_is_a_little_late_was_not_missed(self, looker: Looker, make: Make, missed: str):
        schedule = make("@every 1s", missed=missed)
        looker.look()
        looker.look(seconds=29)
        assert looker.ticks(schedule) == [at(seconds=second) for second in range(1, 30)]

    def test_a_month_of_seconds_is_one_run_or_none_and_costs_next_to_nothing(self, looker: Looker, make: Make):
        one, skip = make("@every 1s", missed="one"), make("@every 1s", missed="skip")
        nightly = make("30 3 * * ?", missed="one", timezone="UTC")
        looker.look()
        now = looker.clock.forward(days=30)
        looker.look(seconds=0.5)
        late = [now - timedelta(seconds=second) for second in range(29, -1, -1)]
        assert looker.ticks(one) == looker.ticks(skip) == late
        assert looker.ticks(nightly) == [datetime(2026, 4, 1, 3, 30, tzinfo=NOON.tzinfo)]

    def test_many_missed_ticks_are_sent_in_pieces_and_in_order(self, looker: Looker, make: Make):
        schedule = make("@every 1s", missed="all")
        looker.look()
        looker.look(seconds=450)
        assert looker.ticks(schedule) == [at(seconds=second) for second in range(1, 451)]

    def test_nothing_is_sent_outside_of_start_and_end(self, looker: Looker, make: Make):
        schedule = make("@every 1m", starts_at=at(minutes=2), ends_at=at(minutes=3))
        looker.look()
        for _ in range(5):
            looker.look(minutes=1)
        assert looker.ticks(schedule) == [at(minutes=2), at(minutes=3)]

    @pytest.mark.parametrize("late", [0.02, 5, 31])
    def test_a_tick_at_the_end_is_sent_however_late_it_is_found(self, looker: Looker, make: Make, late: float):
        schedule = make("@every 1m", ends_at=at(minutes=2))
        looker.look()
        looker.look(minutes=1)
        looker.look(seconds=60 + late)
        looker.look(minutes=5)
        assert looker.ticks(schedule) == [at(minutes=1), at(minutes=2)]

    def test_what_was_missed_before_the_end_is_made_up_for_after_it(self, looker: Looker, make: Make):
        one, every = (make("@every 1m", ends_at=at(minutes=2, seconds=30), missed=missed) for missed in ("one", "all"))
        looker.look()
        looker.look(hours=1)
        assert looker.ticks(one) == [at(minutes=2)]
        assert looker.ticks(every) == [at(minutes=1), at(minutes=2)]

    def test_what_was_missed_is_made_up_for_though_the_end_was_put_off_meanwhile(
        self, looker: Looker, make: Make, server: Server
    ):
        schedule = make("@every 1h", ends_at=at(days=1), missed="all")
        looker.look()
        rows(schedule, server).update(ends_at=at(days=2))
        looker.look(hours=2, minutes=1)
        assert looker.ticks(schedule) == [at(hours=1), at(hours=2)]

    def test_a_plan_is_of_a_tick_between_start_and_end(self, looker: Looker, make: Make, server: Server):
        later, ending = make("@every 1h", starts_at=at(days=1)), make("@every 1h", ends_at=at(minutes=59))
        looker.look()
        assert rows(later, server).get().next_at == at(days=1)
        assert rows(ending, server).get().next_at is None
        assert list(Schedule.objects.db_manager(server.config.database).upcoming()) == [later]

    def test_a_changed_start_or_end_counts_at_once(self, looker: Looker, make: Make, server: Server):
        schedule = make("@every 1m", starts_at=at(days=1))
        looker.look()
        assert rows(schedule, server).get().next_at == at(days=1)
        rows(schedule, server).update(starts_at=None)
        looker.look(seconds=0.5)
        looker.look(seconds=59.5)
        rows(schedule, server).update(ends_at=at(minutes=1))
        looker.look(seconds=0.5)
        assert rows(schedule, server).get().next_at is None
        looker.look(minutes=1)
        assert looker.ticks(schedule) == [at(minutes=1)]

    def test_what_a_disabled_or_ended_schedule_passes_over_is_not_missed(
        self, looker: Looker, make: Make, server: Server
    ):
        schedule = make("@every 1h")
        looker.look()
        for change, back in (({"enabled": False}, {"enabled": True}), ({"ends_at": at()}, {"ends_at": None})):
            rows(schedule, server).update(**change)
            looker.look(hours=5, minutes=1)
            assert rows(schedule, server).get().next_at is None
            rows(schedule, server).update(**back)
            looker.look(minutes=1)
        assert looker.ticks(schedule) == []

    def test_a_run_that_has_not_ended_makes_the_next_one_skip_if_that_is_the_policy(
        self, looker: Looker, make: Make, server: Server
    ):
        polite, rude = make("@every 1m", run_overlap="skip"), make("@every 1m")
        looker.look()
        for _ in range(2):
            looker.look(minutes=1)
        assert looker.statuses(polite) == ["sent", "skipped"]
        assert looker.statuses(rude) == ["sent", "sent"]
        state = TaskState.objects.using(server.config.database).get(schedule_id=polite.pk)
        done = StateChange(server.decode(state.signature.encode()), SUCCESS, results=())
        server.backend.set_states([done])
        looker.look(minutes=1)
        assert looker.statuses(polite) == ["sent", "skipped", "sent"]

    def test_of_several_ticks_at_once_one_is_sent_where_a_run_must_have_ended(
        self, looker: Looker, make: Make, server: Server, monkeypatch: pytest.MonkeyPatch
    ):
        """Also where the result backend is elsewhere, which learns only from the commit that a task was sent."""
        monkeypatch.setattr(server.backend, "get_states", lambda uuids: [None for _ in uuids])
        schedule = make("@every 1s", run_overlap="skip")
        looker.look()
        looker.look(seconds=4)
        assert looker.statuses(schedule) == ["sent", "skipped", "skipped", "skipped"]

    def test_a_tick_that_was_dealt_with_before_is_not_the_last_run(self, looker: Looker, make: Make, server: Server):
        schedule = make("@every 1m")
        looker.look()
        looker.look(minutes=1)
        (sent,) = looker.waiting
        rows(schedule, server).update(next_at=at(minutes=1))
        looker.look()
        assert (rows(schedule, server).get().last_at, rows(schedule, server).get().last_uuid) == (
            at(minutes=1),
            sent.uuid,
        )

    def test_one_look_sends_a_bounded_number_of_ticks(self, looker: Looker, make: Make):
        schedules = [make("@every 1s", missed="all") for _ in range(10)]
        looker.look()
        looker.clock.forward(seconds=300)
        looker.scheduler.look()
        assert len(looker.waiting) == MOST
        assert {len(looker.ticks(schedule)) for schedule in schedules} == {MOST // 10}
        looker.look()
        assert len(looker.waiting) == 3000

    def test_schedules_that_catch_up_hold_up_no_other(self, looker: Looker, make: Make, server: Server):
        """One that is due now, and one that missed less than the many that are in front of it."""
        many = [make("@every 1s", missed="all") for _ in range(BATCH + 5)]
        hourly, fresh = make("@every 1h", missed="one"), make("@every 1m", missed="skip")
        looker.look()
        looker.clock.forward(hours=1, minutes=1)
        rows(fresh, server).update(next_at=looker.clock.now)
        for _ in range(3):
            looker.scheduler.look()
        assert looker.ticks(fresh) == [looker.clock.now]
        assert looker.ticks(hourly) == [at(hours=1)]
        assert all(looker.ticks(schedule) for schedule in many)

    def test_what_cannot_be_sent_is_told_and_tried_at_the_next_tick(self, looker: Looker, make: Make, server: Server):
        schedule = make("@every 1m", kind="chain")
        rows(schedule, server).update(signatures="[]")
        looker.look()
        looker.look(minutes=1)
        rows(schedule, server).update(signatures=schedule.signatures)
        looker.look(minutes=1)
        assert looker.statuses(schedule) == ["failed", "sent"]


@on_databases("default")
@pytest.mark.parametrize("policies", [{}, {"dst_gap": "skip", "dst_overlap": "both"}], ids=["defaults", "as Go"])
@pytest.mark.parametrize("night", [datetime(2026, 3, 28, 22), datetime(2026, 10, 24, 22)], ids=["spring", "autumn"])
def test_two_schedulers_send_cron_specs_once_through_a_change_of_offset(
    server: Server, clock: Clock, make: Make, night: datetime, policies: dict[str, str]
):
    specs = ("*/15 * * * *", "30 2 * * ?", "0 2,3 * * *", "@daily", "5 1-4 * * sun", "CRON_TZ=Asia/Kolkata 30 5 * * *")
    start = clock.now = night.replace(tzinfo=NOON.tzinfo)
    schedules = [make(spec, timezone="Europe/Berlin", **policies) for spec in specs]
    lookers = [Looker(server, clock) for _ in range(2)]
    for looker in lookers:
        looker.look()
    for _ in range(25):
        for looker in lookers:
            looker.look(minutes=10, seconds=7)
    for schedule in schedules:
        assert lookers[0].ticks(schedule) == list(schedule.ticks(start, clock.now))
    assert len(lookers[0].waiting) == sum(len(lookers[0].ticks(schedule)) for schedule in schedules) > 30


@on_databases("default")
class TestKinds:
    @pytest.mark.parametrize(
        ("kind", "count", "tasks"), [("group", 3, 3), ("chain", 3, 1), ("chord", 3, 2), ("task", 1, 1)]
    )
    def test_every_kind_is_sent_whole(self, looker: Looker, make: Make, kind: str, count: int, tasks: int):
        schedule = make("@every 1m", *[Signature.of("add", number) for number in range(count)], kind=kind)
        looker.look()
        looker.look(minutes=1)
        looker.look(minutes=1)
        assert len(looker.ticks(schedule)) == 2
        assert len(looker.waiting) == 2 * tasks

    @pytest.mark.parametrize("kind", ["group", "chain", "chord"])
    def test_a_workflow_runs_until_its_last_task_has_ended(self, looker: Looker, make: Make, server: Server, kind: str):
        signatures = [Signature.of("add", number) for number in range(2)]
        schedule = make("@every 1m", *signatures, kind=kind, run_overlap="skip")
        looker.look()
        looker.look(minutes=1)
        looker.look(minutes=1)
        states = TaskState.objects.using(server.config.database).filter(schedule_id=schedule.pk)
        for state in states:
            server.backend.set_states([StateChange(server.decode(state.signature.encode()), SUCCESS, results=())])
        looker.look(minutes=1)
        assert looker.statuses(schedule) == ["sent", "skipped", "sent"]


@on_databases("default")
class TestClocks:
    def test_a_clock_that_was_years_ahead_for_a_while_stops_no_schedule(self, looker: Looker, make: Make):
        schedule, yearly = make("@every 1m"), make("@yearly", missed="skip", timezone="UTC")
        looker.look()
        looker.look(days=365 * 20)
        assert looker.ticks(schedule)
        looker.look(days=-365 * 20)
        looker.look(minutes=1)
        assert at(minutes=1) in looker.ticks(schedule)
        assert looker.ticks(yearly) == []

    def test_a_schedule_that_was_planned_by_a_clock_ahead_is_planned_anew(
        self, looker: Looker, make: Make, server: Server
    ):
        looker.clock.forward(days=400)
        schedule = make("@every 1m")
        looker.look()
        looker.look(days=-400)
        assert rows(schedule, server).get().next_at == at(minutes=1)

    def test_a_clock_that_goes_back_sends_no_tick_twice(self, looker: Looker, make: Make):
        schedule = make("@every 1s")
        looker.look()
        looker.look(seconds=5)
        looker.look(seconds=-3)
        for _ in range(8):
            looker.look(seconds=1)
        ticks = looker.ticks(schedule)
        assert len(ticks) == len(set(ticks)) == len(looker.waiting)
        assert ticks[-1] == at(seconds=10)

    @pytest.mark.parametrize("year", [1900, 1970, 9990])
    def test_absurd_years_are_borne(self, looker: Looker, make: Make, year: int):
        make("@every 1s")
        make("30 3 29 2 ?", timezone="Europe/Berlin")
        looker.clock.now = datetime(year, 1, 1, tzinfo=NOON.tzinfo)
        looker.look()
        looker.look(seconds=2)
        assert len(looker.waiting) == 2

    def test_the_next_look_is_when_something_is_due(self, looker: Looker, make: Make):
        make("@every 10s")
        assert looker.scheduler.look() == 0.5
        looker.clock.forward(seconds=9.9)
        assert 0.1 <= looker.scheduler.look() <= 0.2
