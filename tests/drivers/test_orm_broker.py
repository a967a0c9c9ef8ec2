"""`orm://`: the broker contract on every engine, and what only this broker does."""

from collections.abc import Iterator

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.seams.broker import Broker
from tests.contracts.broker import BrokerContract
from tests.drivers.orm import away, inject


class TestOrmBroker(BrokerContract):
    @pytest.fixture
    def broker(self, config: ServerConfig, database: str) -> Broker:
        return OrmBroker(f"orm://{database}", config)

    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[Broker]:
        with away(database):
            yield OrmBroker(f"orm://{database}", config)

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        assert isinstance(broker.store, tuple)
        inject(broker.store[1], queue, body)
