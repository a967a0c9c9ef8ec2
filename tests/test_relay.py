"""The relay publishes all that is due, batch by batch."""

from typing import Any

import pytest

from django_machinery.exceptions import BrokerUnavailable
from django_machinery.relay import BATCH, relay
from tests.worker.support import Script


class Server:
    """Has so many messages in its outbox; publishes them as it is asked."""

    def __init__(self, *batches: Any) -> None:
        self.relay_outbox = Script(*batches)


@pytest.mark.parametrize(
    ("batches", "asked"),
    [([0], 1), ([7], 1), ([BATCH, BATCH, 3], 3), ([BATCH, 0], 2)],
)
def test_it_goes_on_while_batches_are_full(batches: list[int], asked: int):
    server: Any = Server(*batches)
    assert relay(server) == sum(batches)
    assert server.relay_outbox.calls == [(BATCH,)] * asked


def test_a_broker_that_is_away_is_told():
    server: Any = Server(BATCH, BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable):
        relay(server)
