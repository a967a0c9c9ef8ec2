"""`orm://`: how an idle consumer learns of messages on each engine, and how little it asks."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm import listen, notify, watch
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.exceptions import BrokerUnavailable
from django_machinery.seams.broker import Broker, Consumer
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.broker_waiting import seconds_of_wait, waiting
from tests.contracts.support import collect, config_with, uuids
from tests.databases import on_databases
from tests.drivers.orm import OrmDrivers, connections_fail, forget_failed_connections
from tests.services import DatabaseServer
from tests.waiting import wait_until

NEVER = 1000.0


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let consumers look for messages only when they are told."""
    monkeypatch.setattr(listen, "LOOK_EVERY", NEVER)


@pytest.fixture
def notifications(database: str) -> Iterator[Callable[[], list[str]]]:
    """What was notified since the last call: the queues."""
    parameters: dict[str, Any] = connections[database].get_connection_params()
    with psycopg.connect(**parameters, autocommit=True) as connection:
        connection.execute("LISTEN machinery")
        yield lambda: [each.payload for each in connection.notifies(timeout=0.2)]


@on_databases("postgres")
class TestListening(OrmDrivers, BrokerTopic):
    def test_a_message_ends_the_wait_of_who_does_not_look(self, only_told: None, consumer: Consumer, publish: Publish):
        consumer.fetch(1)
        with waiting(consumer) as waiter:
            sent = publish(1)
            waiter.join(10)
            assert not waiter.is_alive()
        assert names_of(collect(consumer, 1)) == uuids(sent)

    def test_a_message_ends_the_wait_when_its_transaction_has_committed(
        self, database: str, only_told: None, consumer: Consumer, publish: Publish
    ):
        consumer.fetch(1)
        with waiting(consumer) as waiter:
            with transaction.atomic(using=database):
                publish(1)
                waiter.join(0.2)
                assert waiter.is_alive()
            waiter.join(10)
            assert not waiter.is_alive()

    def test_a_queue_is_named_once_in_a_while(
        self, publish: Publish, queue: str, notifications: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(notify, "INTERVAL", NEVER)
        for number in range(5):
            publish(number)
            publish(number, queue=f"{queue}-other")
        assert sorted(notifications()) == [queue, f"{queue}-other"]

    def test_delayed_messages_and_rollbacks_are_not_told(
        self, database: str, publish: Publish, notifications: Callable[[], list[str]]
    ):
        with transaction.atomic(using=database):
            publish(1)
            transaction.set_rollback(True, using=database)
        assert notifications() == []

    def test_promotion_and_release_are_told(
        self,
        broker: Broker,
        consumer: Consumer,
        publish: Publish,
        queue: str,
        notifications: Callable[[], list[str]],
    ):
        publish(1, eta=timedelta(milliseconds=100))
        assert notifications() == []
        wait_until(broker.promote)
        assert notifications() == [queue]
        consumer.release(collect(consumer, 1))
        assert notifications() == [queue]

    def test_messages_that_nobody_tells_of_are_found_after_one_that_was_told(
        self, only_told: None, consumer: Consumer, publish: Publish
    ):
        for number in range(5):
            sent = publish(number)
            assert names_of(collect(consumer, 1)) == uuids(sent)
            assert consumer.fetch(1) == []
            with waiting(consumer) as waiter:
                publish(number)
                waiter.join(10)
                assert not waiter.is_alive()
            collect(consumer, 1)

    def test_an_idle_consumer_hardly_asks(self, database: str, consumer: Consumer):
        consumer.fetch(1)
        with CaptureQueriesContext(connections[database]) as queries:
            assert seconds_of_wait(consumer, 1.2) > 1
        assert len(queries) <= 4

    def test_a_consumer_whose_connection_is_cut_listens_again(
        self, database: str, consumer: Any, publish: Publish, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(listen, "RECONNECT_EVERY", 0.0)
        with connections[database].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [consumer._watch._connection.info.backend_pid])
            assert cursor.fetchall() == [(True,)]
        consumer.fetch(1)
        consumer.wait(0.1)
        consumer.wait(0.1)
        monkeypatch.setattr(listen, "LOOK_EVERY", NEVER)
        with waiting(consumer) as waiter:
            publish(1)
            waiter.join(10)
            assert not waiter.is_alive()

    def test_a_consumer_that_cannot_listen_looks(self, database: str, queue: str, token: str, publish: Publish):
        broker = OrmBroker(f"orm://{database}", config_with(notify_dsn="host=/nowhere/at/all"))
        broker.renew([token])
        consumer = broker.consumer([queue], ["add"], token)
        consumer.fetch(1)
        with waiting(consumer) as waiter:
            publish(1)
            waiter.join(10)
            assert not waiter.is_alive()
        consumer.close()

    def test_it_listens_on_the_connection_that_the_settings_name(
        self, database: str, config: ServerConfig, queue: str, token: str
    ):
        parameters = connections[database].get_connection_params()
        dsn = f"host={parameters['host']} dbname={parameters['dbname']} user=postgres application_name=ears"
        broker = OrmBroker(f"orm://{database}", config_with(notify_dsn=dsn))
        broker.renew([token])
        consumer = broker.consumer([queue], ["add"], token)
        with connections[database].cursor() as cursor:
            cursor.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'ears'")
            assert cursor.fetchall() == [("LISTEN machinery",)]
        consumer.close()


@on_databases("default")
class TestVersions(OrmDrivers, BrokerTopic):
    def test_an_idle_consumer_reads_no_table(self, database: str, consumer: Consumer):
        consumer.fetch(1)
        consumer.wait(0.1)
        with CaptureQueriesContext(connections[database]) as queries:
            assert seconds_of_wait(consumer, 0.5) > 0.4
        assert len(queries) == 0

    def test_a_commit_by_the_same_thread_is_noticed_too(self, consumer: Consumer, publish: Publish):
        consumer.fetch(1)
        consumer.wait(0.1)
        publish(1)
        assert seconds_of_wait(consumer, 60) < 10

    def test_a_commit_that_brings_no_message_does_not_end_the_wait(self, consumer: Consumer, publish: Publish):
        consumer.fetch(1)
        publish(1, queue="elsewhere")
        assert seconds_of_wait(consumer, 0.3) > 0.2


class TestLooking:
    def test_the_longer_it_is_quiet_the_more_rarely_it_looks(self, monkeypatch: pytest.MonkeyPatch):
        now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        looking = watch.Watch()
        pauses = []
        for now in (100.0, 100.5, 101.0, 102.0, 200.0):  # noqa: B007 - the clock
            pauses.append(looking.pause())
        assert pauses == pytest.approx([0.005, 0.05, 0.1, 0.2, 0.25])
        looking.stir()
        assert looking.pause() == 0.005


@connections_fail
@on_databases("mariadb", "postgres")
class TestRestarts(OrmDrivers, BrokerTopic):
    def test_a_consumer_goes_on_when_its_database_comes_back(
        self, database: str, own_database: DatabaseServer, connect: Connect, token: str, publish: Publish
    ):
        consumer = connect(token)
        publish(1)
        first = collect(consumer, 1)
        (second,) = publish(2)  # which takes the claim to the disk too
        own_database.kill()
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                consumer.fetch(1)
            with pytest.raises(BrokerUnavailable):
                consumer.settle(first)
            consumer.wait(0.1)
        forget_failed_connections()
        own_database.start()
        assert names_of(collect(consumer, 1)) == [second.uuid]
        (settled,) = consumer.settle(first)
        assert settled
