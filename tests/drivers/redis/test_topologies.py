"""What only a real server can refuse: certificates, passwords, and a Cluster of which one address is known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Outcome, Verdict
from tests.contracts.backend_base import get_state, success
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, config_with, unique, uuids
from tests.services import Redis, require, scratch_directory
from tests.services.redis_stores import Stores


@contextmanager
def broker_of(url: str, settings: Mapping[str, Any]) -> Iterator[RedisBroker]:
    broker = RedisBroker(url, config_with(**settings))
    yield broker
    broker.close()


def works(url: str, **settings: Any) -> None:
    """Tasks on several queues are sent, claimed and ended, and one that comes to who waits for it is seen at once."""
    backend = RedisBackend(url, config_with(**settings))
    with broker_of(url, settings) as broker:
        queues, token = [unique("queue") for _ in range(6)], unique("worker")
        sent = [Signature.of("add", uuid=unique("task"), queue=queue) for queue in queues]
        broker.send(backend, [StateChange(each, PENDING) for each in sent], sent)
        broker.renew([token])
        consumer = broker.consumer(queues, ["add"], token)
        deliveries = collect(consumer, len(sent))
        assert names_of(deliveries) == uuids(sent)
        unit = broker.unit(consumer, backend, broker.publish, lambda outcome: None)
        outcomes = [Outcome(delivery, each, success(each)) for delivery, each in zip(deliveries, sent, strict=True)]
        assert unit.commit(outcomes) == [Verdict.COMMITTED] * len(sent)
        assert all(get_state(backend, each).is_success for each in sent)
        assert [state.is_success for state in backend.wait(uuids(sent), 5) if state] == [True] * len(sent)
        consumer.close()
    backend.close()


def test_a_server_that_asks_for_a_certificate_lets_in_who_shows_one(redis_stores: Stores):
    store = redis_stores.get("tls")
    works(store.url, **store.settings)
    authority = {"redis_tls_ca": store.settings["redis_tls_ca"]}
    with broker_of(store.url, authority) as stranger, pytest.raises(BrokerUnavailable):
        stranger.depth("queue")


def test_a_server_whose_certificate_is_of_another_authority_is_not_spoken_to(redis_stores: Stores):
    store = redis_stores.get("tls")
    settings = {key: value for key, value in store.settings.items() if key != "redis_tls_ca"}
    with broker_of(store.url, settings) as broker, pytest.raises(BrokerUnavailable, match=r"(?i)certificate"):
        broker.depth("queue")


def test_one_address_of_a_cluster_leads_to_all_of_it(redis_stores: Stores):
    store = redis_stores.get("cluster")
    one = store.url.partition(",")[0]
    works(one, redis_cluster_enabled=True)
    with broker_of(one, {}) as unaware, pytest.raises(BrokerError):
        unaware.suspects([f"queue{number}" for number in range(20)])


def test_a_socket_may_ask_for_a_password():
    require(Redis)
    with (
        scratch_directory() as directory,
        Redis(directory / "redis", "--requirepass", "open/sesame").running() as server,
    ):
        works(f"redis+socket://open/sesame@{server.socket_path}:/2")
        with server.client(password="open/sesame", db=2) as client:
            assert client.dbsize() > 0
        for credentials in ("", "wrong@"):
            with broker_of(f"redis+socket://{credentials}{server.socket_path}", {}) as stranger:
                with pytest.raises(BrokerError) as caught:
                    stranger.depth("queue")
                assert not isinstance(caught.value, BrokerUnavailable)
