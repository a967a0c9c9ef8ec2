from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.seams.broker import Broker
from tests.contracts.broker import BrokerContract
from tests.toys.leasing import LeasingBroker


class TestLeasingBroker(BrokerContract):
    replaces_waiting: ClassVar = False
    counts_released: ClassVar = True

    @pytest.fixture
    def broker(self, config: ServerConfig, tmp_path: Path) -> Iterator[Broker]:
        broker = LeasingBroker(f"leasing://{tmp_path}/messages", config)
        yield broker
        broker.close()

    @pytest.fixture
    def unreachable(self, config: ServerConfig, tmp_path: Path) -> Broker:
        return LeasingBroker(f"leasing://{tmp_path}/missing/messages", config)

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        assert isinstance(broker, LeasingBroker)
        broker.publish_bytes(queue, body)
