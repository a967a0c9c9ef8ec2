"""`orm://`: the unit contract on every engine, and what only this unit does."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_machinery.conf import ServerConfig
from django_machinery.drivers.eager.backend import EagerBackend
from django_machinery.drivers.orm import store
from django_machinery.exceptions import BackendRefused, BackendUnavailable
from django_machinery.models import Attempt as AttemptRow
from django_machinery.models import Message, TaskState
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, RETRY, SUCCESS
from django_machinery.seams.backend import Attempt, GroupProgress, ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer
from django_machinery.seams.unit import Outcome, Unit, Verdict
from tests.contracts.backend_base import get_state, result, set_state, states_of
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, nothing_comes, race, unique
from tests.contracts.unit import UnitContract
from tests.contracts.unit_base import MakeUnit, Send, UnitTopic, fail, succeed, take, untold
from tests.databases import on_databases
from tests.drivers.orm import OrmDrivers, away, connections_fail

COMMITTED = Verdict.COMMITTED


class TestOrmUnit(OrmDrivers, UnitContract):
    pass


@on_databases("default")
class TestOrmBrokerWithAnotherBackend(OrmDrivers, UnitContract):
    @pytest.fixture
    def backend(self, config: ServerConfig) -> ResultBackend:
        return EagerBackend("eager://", config)


def failed_run(number: int = 1, outcome: str = "error") -> Attempt:
    now = datetime.now(UTC)
    return Attempt(number, outcome, now, now, "builtins.ValueError", "no", "Traceback: no")


class TestRecords(OrmDrivers, UnitTopic):
    def test_runs_that_did_not_succeed_are_kept(self, database: str, unit: Unit, consumer: Consumer, send: Send):
        sent = send(retry_count=1)
        outcome = take(consumer)
        outcome.change = StateChange(sent, RETRY, error="no", worker="w", attempt=failed_run(1, "retry"))
        outcome.retry = sent.replace(retry_count=0)
        assert unit.commit([outcome]) == [COMMITTED]
        assert self.row(database, sent) == (RETRY, 2, "no", "Traceback: no", "")
        last = fail(take(consumer))
        assert last.change is not None
        last.change.attempt = failed_run(2)
        assert unit.commit([last]) == [COMMITTED]
        assert self.row(database, sent) == (FAILURE, 2, "no", "Traceback: no", "error")
        kept = AttemptRow.objects.using(database).order_by("number").values_list("number", "outcome", "generation")
        assert list(kept) == [(1, "retry", 0), (2, "error", 0)]

    def test_a_run_that_is_told_of_again_is_kept_once(
        self, database: str, backend: ResultBackend, consumer: Consumer, send: Send
    ):
        sent = send()
        for _ in range(2):
            assert set_state(backend, sent, RETRY, error="no", attempt=failed_run())
        assert AttemptRow.objects.using(database).count() == 1

    def test_times_and_worker_of_a_run_are_kept(self, database: str, unit: Unit, consumer: Consumer, send: Send):
        sent, now = send(), datetime.now(UTC)
        outcome = take(consumer)
        times: dict[str, Any] = {"received_at": now, "started_at": now, "finished_at": now}
        outcome.change = StateChange(sent, SUCCESS, results=(), worker="host:1", **times)
        assert unit.commit([outcome]) == [COMMITTED]
        row = TaskState.objects.using(database).values("worker", *times).get(uuid=sent.uuid)
        assert row == {"worker": "host:1", **times}

    @staticmethod
    def row(database: str, task: Signature) -> tuple[Any, ...]:
        columns = ("state", "attempt", "error", "traceback", "reason")
        row: tuple[Any, ...] = TaskState.objects.using(database).values_list(*columns).get(uuid=task.uuid)
        return row


@connections_fail
class TestTransactions(OrmDrivers, UnitTopic):
    def test_within_the_transaction_of_the_caller_an_outcome_is_part_of_it(
        self, database: str, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send()
        outcome = succeed(take(consumer))
        with transaction.atomic(using=database):
            assert unit.commit([outcome]) == [COMMITTED]
            transaction.set_rollback(True, using=database)
        assert get_state(backend, sent).state == PENDING
        with transaction.atomic(using=database):
            assert unit.commit([outcome]) == [COMMITTED]
        assert get_state(backend, sent).state == SUCCESS

    def test_an_overtaken_outcome_leaves_the_transaction_of_the_caller_in_order(
        self, database: str, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send()
        outcome = succeed(take(consumer))
        set_state(backend, sent, FAILURE, error="first")
        with transaction.atomic(using=database):
            assert unit.commit([outcome]) == [Verdict.OVERTAKEN]
            assert consumer.settle([outcome.delivery]) == [True]
        assert get_state(backend, sent).error == "first"

    @on_databases("postgres")
    def test_a_value_that_cannot_be_stored_is_refused_and_harms_nothing(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = [send(), send()]
        good, bad = (untold(delivery) for delivery in collect(consumer, 2))
        for error in ("a\0b", "\ud800"):
            with pytest.raises(BackendRefused):
                unit.commit([succeed(good), fail(bad, error)])
        assert states_of(backend, sent) == [PENDING, PENDING]
        assert unit.commit([good, fail(bad, "ab")]) == [COMMITTED] * 2

    @on_databases("mariadb", "postgres")
    def test_a_database_that_is_away_is_unavailable(
        self, database: str, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send()
        outcome = succeed(take(consumer))
        with away(database), pytest.raises(BackendUnavailable, match=database):
            unit.commit([outcome])
        assert unit.commit([outcome]) == [COMMITTED]
        assert get_state(backend, sent).state == SUCCESS

    def test_units_that_block_each_other_all_come_to_an_end(
        self, backend: ResultBackend, unit_of: MakeUnit, consumer: Consumer, send: Send, queue: str
    ):
        """Each ends tasks and abandons those that the others end, in an order of its own."""
        sent = [send() for _ in range(12)]
        deliveries = collect(consumer, 12)
        units = []
        for index in range(3):
            mine = [fail(untold(delivery)) for delivery in deliveries[index * 4 : index * 4 + 4]]
            mine[0].abandoned = tuple(sent[::-1] if index % 2 else sent)
            units.append(partial(unit_of(consumer).commit, mine))
        for verdicts in race(units):
            assert set(verdicts) <= {COMMITTED, Verdict.OVERTAKEN}
        assert states_of(backend, sent) == [FAILURE] * 12

    def test_victims_of_deadlocks_are_tried_again(self, database: str):
        calls: list[int] = []

        def work() -> str:
            calls.append(1)
            if len(calls) < 4:
                raise OperationalError(1213, "Deadlock found")
            return "done"

        assert store.retried(database, work) == "done"
        assert len(calls) == 4

    def test_other_errors_and_endless_deadlocks_are_not(self, database: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("time.sleep", lambda _: None)
        for number, tries in ((2006, 1), (1213, store.TRIES)):
            calls: list[int] = []

            def work(number: int = number, calls: list[int] = calls) -> None:
                calls.append(1)
                raise OperationalError(number, "no")

            with pytest.raises(OperationalError):
                store.retried(database, work)
            assert len(calls) == tries


class TestClaimsThatAreUndone(OrmDrivers, UnitTopic):
    """A crash of a PostgreSQL server can undo its last claims: nobody waits until the disk has them."""

    @pytest.fixture
    def undo(self, database: str) -> Callable[[], None]:
        def undo() -> None:
            messages = Message.objects.using(database)
            assert messages.update(status=Message.Status.READY, worker_id=None, claims=F("claims") - 1) == 1

        return undo

    def test_the_outcome_of_the_run_that_lost_its_claim_is_fenced(
        self,
        backend: ResultBackend,
        unit: Unit,
        unit_of: MakeUnit,
        consumer: Consumer,
        other: Consumer,
        send: Send,
        undo: Callable[[], None],
    ):
        sent = send()
        lost = succeed(take(consumer), "1")
        undo()
        kept = succeed(take(other), "2")
        assert (kept.delivery.handle, kept.delivery.claim) == (lost.delivery.handle, lost.delivery.claim)
        assert unit.commit([lost]) == [Verdict.FENCED]
        assert get_state(backend, sent).state == PENDING
        assert unit_of(other).commit([kept]) == [COMMITTED]
        assert get_state(backend, sent).results == (result("2"),)

    @pytest.mark.parametrize("together", [False, True])
    def test_of_two_runs_of_one_process_one_counts(
        self,
        backend: ResultBackend,
        unit: Unit,
        consumer: Consumer,
        send: Send,
        undo: Callable[[], None],
        together: bool,
    ):
        sent = send()
        first = succeed(take(consumer), "1")
        undo()
        second = succeed(take(consumer), "2")
        verdicts = unit.commit([first, second]) if together else [*unit.commit([first]), *unit.commit([second])]
        assert verdicts.count(COMMITTED) == 1
        assert get_state(backend, sent).results == (result("1"),)
        assert nothing_comes(consumer)


class TestGroups(OrmDrivers, UnitTopic):
    @pytest.fixture
    def send_group(self, broker: Broker, backend: ResultBackend, queue: str) -> Callable[..., list[Signature]]:
        def send_group(count: int, callback: Signature | None = None) -> list[Signature]:
            group = unique("group")
            fields = {"group_uuid": group, "group_task_count": count, "chord_callback": callback}
            members = [self.task(queue, **fields) for _ in range(count)]
            backend.init_group(group, [member.uuid for member in members], callback)
            broker.send(backend, [StateChange(m, PENDING, group_index=i) for i, m in enumerate(members)], members)
            return members

        return send_group

    def test_a_member_that_is_started_anew_is_counted_once(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send_group: Callable[..., list[Signature]]
    ):
        members = send_group(2)
        assert unit.commit([fail(take(consumer))]) == [COMMITTED]
        assert set_state(backend, members[0], PENDING)
        assert set_state(backend, members[0], SUCCESS, results=())
        assert backend.group_progress(members[0].group_uuid) == GroupProgress(1, 1, 2)

    def test_a_completion_sends_only_what_neither_waits_nor_has_ended(
        self, broker: Broker, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        sent = send()
        delivery = take(consumer).delivery
        waiting, ended, missing = (self.task(queue) for _ in range(3))
        broker.publish([waiting])
        set_state(backend, ended, SUCCESS, results=())
        set_state(backend, sent, SUCCESS, results=())
        completion = Outcome(delivery, sent, follow_ups=(waiting, ended, missing), final=get_state(backend, sent))
        assert unit.commit([completion]) == [COMMITTED]
        assert names_of(collect(consumer, 2)) == [waiting.uuid, missing.uuid]
        assert nothing_comes(consumer)

    @on_databases("default", "postgres")
    def test_what_a_member_costs_does_not_grow_with_its_chord(
        self,
        database: str,
        unit: Unit,
        consumer: Consumer,
        queue: str,
        send_group: Callable[..., list[Signature]],
    ):
        costs = []
        for count in (50, 500):
            callback = self.task(queue, name="multiply")
            send_group(count, callback)
            with CaptureQueriesContext(connections[database]) as queries:
                for _ in range(count // 25):
                    outcomes = [succeed(untold(delivery)) for delivery in collect(consumer, 25)]
                    assert unit.commit(outcomes) == [COMMITTED] * 25
            (delivery,) = collect(consumer, 1)
            assert delivery.uuid == callback.uuid
            assert consumer.settle([delivery]) == [True]
            costs.append(len(queries) / count)
        assert costs[1] <= 1.2 * costs[0]


@on_databases("postgres")
class TestStatements(OrmDrivers, UnitTopic):
    def test_a_batch_of_plain_tasks_ends_in_one_statement(
        self, database: str, unit: Unit, consumer: Consumer, send: Send
    ):
        for _ in range(5):
            send()
        outcomes = [succeed(untold(delivery)) for delivery in collect(consumer, 5)]
        with CaptureQueriesContext(connections[database]) as queries:
            assert unit.commit(outcomes) == [COMMITTED] * 5
        assert len(queries) == 1
        assert not Message.objects.using(database).exists()

    def test_a_claim_does_not_wait_for_the_disk_and_an_outcome_does(
        self, database: str, unit: Unit, consumer: Consumer, send: Send
    ):
        send()
        with transaction.atomic(using=database):
            outcome = succeed(take(consumer))
            assert self.setting(database) == "off"
        with transaction.atomic(using=database):
            assert unit.commit([outcome]) == [COMMITTED]
            assert self.setting(database) == "on"

    @staticmethod
    def setting(database: str) -> str:
        with connections[database].cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    def test_a_task_is_sent_in_one_statement(self, database: str, broker: Broker, backend: ResultBackend, queue: str):
        task = self.task(queue)
        broker.send(backend, [StateChange(self.task(queue), PENDING)], [self.task(queue)])  # which may notify
        with CaptureQueriesContext(connections[database]) as queries:
            broker.send(backend, [StateChange(task, PENDING)], [task])
        assert len(queries) == 1
