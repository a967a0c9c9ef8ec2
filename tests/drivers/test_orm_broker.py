"""`orm://`: the broker contract on every engine, and what only this broker does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from pytest_django import Settings

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.exceptions import BrokerError, EncodeError
from django_machinery.models import Message, TaskState, WorkerProcess
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer, Delivery
from tests.contracts.backend_base import set_state, states_of
from tests.contracts.broker import BrokerContract
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.support import collect, config_with, nothing_comes, unique, uuids
from tests.databases import on_databases
from tests.drivers.orm import OrmDrivers, away, connections_fail

ODD_TEXTS = (
    "\x1e",
    "a\x1db",
    "\x1d",
    'quo"te',
    "quo'te",
    "back\\slash",
    "{a,b}",
    "NULL",
    "%s %d {}",
    "é\U0001f600",
    " ",
)


@connections_fail
class TestOrmBroker(OrmDrivers, BrokerContract):
    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[Broker]:
        with away(database):
            yield OrmBroker(f"orm://{database}", config)


class TestSending(OrmDrivers, BrokerTopic):
    @pytest.fixture
    def tasks(self, queue: str) -> list[Signature]:
        return [Signature.of("add", number, uuid=unique("task"), queue=queue) for number in range(3)]

    def test_a_message_is_part_of_the_transaction_in_which_it_is_sent(
        self, database: str, broker: Broker, backend: ResultBackend, consumer: Consumer, tasks: list[Signature]
    ):
        def send(*, commit: bool) -> None:
            with transaction.atomic(using=database):
                broker.send(backend, [StateChange(s, PENDING) for s in tasks], tasks)
                transaction.set_rollback(not commit, using=database)

        send(commit=False)
        assert nothing_comes(consumer)
        assert backend.get_states(uuids(tasks)) == [None] * 3
        send(commit=True)
        assert names_of(collect(consumer, 3)) == uuids(tasks)

    def test_states_and_messages_come_together_or_not_at_all(
        self, broker: Broker, backend: ResultBackend, consumer: Consumer, tasks: list[Signature]
    ):
        bad = tasks[2].replace(headers={"trace": {"nan": float("nan")}})
        with pytest.raises(EncodeError):
            broker.send(backend, [StateChange(s, PENDING) for s in [*tasks[:2], bad]], [*tasks[:2], bad])
        assert backend.get_states(uuids(tasks)) == [None] * 3
        assert nothing_comes(consumer)

    def test_more_states_than_messages_are_written_as_the_states_of_later_steps_are(
        self, broker: Broker, backend: ResultBackend, consumer: Consumer, tasks: list[Signature]
    ):
        broker.send(backend, [StateChange(s, PENDING) for s in tasks], tasks[:1])
        assert states_of(backend, tasks) == [PENDING] * 3
        assert names_of(collect(consumer, 1)) == uuids(tasks[:1])
        assert nothing_comes(consumer)

    def test_states_alone_messages_alone_and_nothing_can_be_sent(
        self, broker: Broker, backend: ResultBackend, consumer: Consumer, tasks: list[Signature]
    ):
        broker.send(backend, [StateChange(s, PENDING) for s in tasks], [])
        broker.send(backend, [], tasks[:1])
        broker.send(backend, [], [])
        assert states_of(backend, tasks) == [PENDING] * 3
        assert names_of(collect(consumer, 1)) == uuids(tasks[:1])

    def test_new_tasks_and_those_that_may_be_known_can_be_mixed(
        self, broker: Broker, backend: ResultBackend, tasks: list[Signature]
    ):
        new, ended, absent = tasks
        set_state(backend, ended, SUCCESS, results=())
        changes = [StateChange(new, PENDING)]
        changes += [StateChange(signature, PENDING, if_absent=True) for signature in (ended, absent)]
        broker.send(backend, changes, tasks)
        assert states_of(backend, tasks) == [PENDING, SUCCESS, PENDING]
        assert broker.depth(new.queue) == 3

    def test_other_states_than_pending_go_through_the_backend(
        self, broker: Broker, backend: ResultBackend, tasks: list[Signature]
    ):
        broker.send(backend, [StateChange(tasks[0], SUCCESS, results=())], tasks[1:])
        assert states_of(backend, tasks[:1]) == [SUCCESS]
        assert broker.depth(tasks[0].queue) == 2

    def test_of_messages_with_one_uuid_in_one_call_the_last_counts(
        self, broker: Broker, backend: ResultBackend, consumer: Consumer, tasks: list[Signature]
    ):
        twice = [tasks[0], tasks[0].replace(args=[7])]
        broker.send(backend, [StateChange(s, PENDING) for s in twice], twice)
        (delivery,) = collect(consumer, 1)
        assert decode_signature(delivery.body) == twice[1]

    def test_a_task_that_is_sent_again_after_its_end_is_of_the_next_generation(
        self, database: str, broker: Broker, backend: ResultBackend, tasks: list[Signature]
    ):
        task = tasks[0]
        row = TaskState.objects.using(database).filter(uuid=task.uuid)
        for state, generation in ((PENDING, 0), (PENDING, 0), (SUCCESS, 0), (PENDING, 1)):
            broker.send(backend, [StateChange(task, state)], [])
            assert row.values_list("state", "generation").get() == (state, generation)

    def test_names_come_back_to_the_letter(
        self, broker: Broker, backend: ResultBackend, connect: Connect, tasks: list[Signature]
    ):
        odd = [s.replace(uuid=f"{s.uuid}{text}", name=f"{text}{s.name}") for s in tasks for text in ODD_TEXTS]
        odd = [signature.replace(queue=ODD_TEXTS[number % 2]) for number, signature in enumerate(odd)]
        broker.send(backend, [StateChange(s, PENDING) for s in odd], odd)
        for queue in ODD_TEXTS[:2]:
            sent = [signature for signature in odd if signature.queue == queue]
            deliveries = collect(connect(queues=[queue], names=[s.name for s in sent]), len(sent))
            assert [decode_signature(delivery.body) for delivery in deliveries] == sent
            assert [delivery.uuid for delivery in deliveries] == uuids(sent)
        assert [state and state.task_name for state in backend.get_states(uuids(odd))] == [s.name for s in odd]

    @on_databases("postgres")
    def test_a_text_that_the_engine_cannot_hold_is_refused(self, broker: Broker, tasks: list[Signature]):
        with pytest.raises(BrokerError, match="refuses a value"):
            broker.publish([tasks[0].replace(name="with\0nul")])


@connections_fail
class TestHolding(OrmDrivers, BrokerTopic):
    def test_a_process_that_never_took_a_lease_gets_no_consumer(self, broker: Broker, queue: str):
        with pytest.raises(BrokerError, match="renew its lease first"):
            broker.consumer([queue], ["add"], unique("worker"))

    def test_a_message_that_is_replaced_while_held_was_ours_and_its_successor_stays(
        self, consumer: Consumer, publish: Publish
    ):
        (sent,) = publish(1)
        held = collect(consumer, 1)
        publish(2, uuid=sent.uuid)
        assert consumer.settle(held) == [True]
        (delivery,) = collect(consumer, 1)
        assert (names_of([delivery]), delivery.claim) == ([sent.uuid], 3)
        assert consumer.settle([delivery]) == [True]

    def test_claims_of_a_process_whose_row_is_gone_are_swept(
        self, database: str, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        sent = publish(1)
        collect(consumer, 1)
        WorkerProcess.objects.using(database).filter(token=token).delete()
        assert broker.sweep() == 1
        assert names_of(collect(other, 1, alone=True)) == uuids(sent)

    @pytest.mark.parametrize("limit", [1, 10])
    def test_a_backlog_does_not_hold_up_a_parked_message(
        self, consumer: Consumer, connect: Connect, publish: Publish, limit: int
    ):
        parked = publish(1, name="unknown")
        consumer.park(collect(consumer, 1))
        for value in range(60):
            publish(value)
        knowing = connect(names=["add", "unknown"])
        assert parked[0].uuid in names_of(knowing.fetch(limit) + knowing.fetch(limit))

    def test_all_that_is_parked_is_claimed_at_once_where_nothing_else_waits(
        self, consumer: Consumer, connect: Connect, publish: Publish
    ):
        for value in range(60):
            publish(value, name="unknown")
        consumer.park(collect(consumer, 60))
        knowing = connect(names=["unknown"])
        fetched = [len(knowing.fetch(8)) for _ in range(8)]
        assert sum(fetched) == 60

    def test_suspects_are_listed_after_the_rest(
        self, broker: Broker, consumer: Consumer, token: str, queue: str, publish: Publish
    ):
        suspect = publish(1, priority=9)
        collect(consumer, 1)
        broker.reclaim(token)
        ordinary = publish(2)
        assert [decode_signature(m.body) for m in broker.pending(queue)] == [*ordinary, *suspect]
        assert (broker.depth(queue), broker.purge(queue), broker.suspects([queue])) == (2, 2, 0)

    def test_a_retried_message_is_due_by_the_clock_of_the_database(
        self, database: str, broker: Broker, consumer: Consumer, publish: Publish
    ):
        publish(1, eta=timedelta(hours=1))
        assert broker.promote() == 0
        Message.objects.using(database).update(due_at=datetime.now(UTC) - timedelta(seconds=1))
        assert broker.promote() == 1
        collect(consumer, 1)

    def test_a_closed_consumer_is_silent_while_the_database_is_away(self, database: str, consumer: Consumer):
        with away(database):
            consumer.close()

    @on_databases("mariadb", "postgres")
    def test_a_wait_ends_at_once_while_the_database_is_away(self, database: str, consumer: Consumer):
        with away(database):
            consumer.wait(60)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@on_databases("default", "mariadb")
class TestTimeZones(OrmDrivers, BrokerTopic):
    """Times mean the same in a project that uses no time zones, on engines that keep none."""

    @pytest.fixture(autouse=True)
    def _zone(self, settings: Settings, zone: str) -> None:
        settings.TIME_ZONE, settings.USE_TZ = zone, False

    def test_a_message_is_held_back_until_its_eta(
        self, broker: Broker, consumer: Consumer, database: str, publish: Publish
    ):
        (later,) = publish(1, eta=timedelta(minutes=5))
        (late,) = publish(2, eta=timedelta(seconds=0.1))
        found: list[Delivery] = []
        while not found:
            broker.promote()
            found = consumer.fetch(2)
        assert names_of(found) == [late.uuid]
        assert broker.promote() == 0
        (waiting,) = broker.delayed()
        assert later.eta is not None
        assert waiting.due_at is not None
        assert abs(waiting.due_at.timestamp() - later.eta.timestamp()) < 0.001

    def test_leases_last(self, broker: Broker, token: str):
        assert broker.renew([token]) == {token}
        broker.sweep()
        assert broker.renew([token]) == {token}

    def test_the_time_of_sending_is_now(self, broker: Broker, backend: ResultBackend, queue: str):
        task = Signature.of("add", uuid=unique("task"), queue=queue)
        broker.send(backend, [StateChange(task, PENDING)], [task])
        (state,) = backend.get_states([task.uuid])
        assert state is not None
        assert abs(state.created_at - datetime.now(UTC)) < timedelta(seconds=10)

    def test_nothing_expires_early(self, database: str, queue: str):
        backend = OrmBackend(f"orm://{database}", config_with(results_expire_in=3600))
        task = Signature.of("add", uuid=unique("task"), queue=queue)
        assert backend.set_states([StateChange(task, SUCCESS, results=(), finished_at=datetime.now(UTC))]) == [True]
        backend.expire()
        assert backend.get_states([task.uuid]) != [None]
