from typing import ClassVar

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.seams.broker import Broker, Consumer
from tests.contracts.broker import BrokerContract
from tests.contracts.support import unique
from tests.toys.push import PushBroker, PushConsumer


class TestPushBroker(BrokerContract):
    replaces_waiting: ClassVar = False

    @pytest.fixture
    def broker(self, config: ServerConfig) -> Broker:
        return PushBroker(f"push://{unique('server')}", config)

    def crash(self, broker: Broker, consumer: Consumer, token: str) -> None:
        assert isinstance(consumer, PushConsumer)
        consumer.cut()

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        assert isinstance(broker, PushBroker)
        broker.publish_bytes(queue, body)
