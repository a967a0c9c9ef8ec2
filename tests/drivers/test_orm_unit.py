"""`orm://`: the unit contract on every engine, and what only this unit does."""

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker
from tests.contracts.unit import UnitContract
from tests.drivers.orm import inject


class TestOrmUnit(UnitContract):
    @pytest.fixture
    def broker(self, config: ServerConfig, database: str) -> Broker:
        return OrmBroker(f"orm://{database}", config)

    @pytest.fixture
    def backend(self, config: ServerConfig, database: str) -> ResultBackend:
        return OrmBackend(f"orm://{database}", config)

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        assert isinstance(broker.store, tuple)
        inject(broker.store[1], queue, body)
