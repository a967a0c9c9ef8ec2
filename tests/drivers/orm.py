"""What the tests of the ORM driver share: drivers on the database of a test, and on one that is away."""

import gc
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connections

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.models import Message
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker

# PyMySQL leaves the sockets of connections that failed to the garbage collector, which complains.
connections_fail = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

_numbers = itertools.count()


class OrmDrivers:
    """The fixtures that contracts ask a driver for."""

    @pytest.fixture
    def broker(self, config: ServerConfig, database: str) -> Broker:
        return OrmBroker(f"orm://{database}", config)

    @pytest.fixture
    def backend(self, config: ServerConfig, database: str) -> ResultBackend:
        return OrmBackend(f"orm://{database}", config)

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        """Put a body on a queue that no signature encodes to."""
        assert isinstance(broker.store, tuple)
        now = datetime.now(UTC)
        Message.objects.using(broker.store[1]).create(
            uuid=f"injected-{next(_numbers)}",
            queue=queue,
            name="",
            status=Message.Status.READY,
            rank=0,
            due_at=now,
            created_at=now,
            body=body.decode(),
        )


@contextmanager
def away(alias: str) -> Iterator[None]:
    """Let connections to a database fail, as they do when its server is down or its file is gone."""
    connection = connections[alias]
    connection.close()
    settings = connection.settings_dict
    kept = dict(settings)
    settings["NAME" if connection.vendor == "sqlite" else "HOST"] = "/nowhere/at/all"
    try:
        yield
    finally:
        connection.close()
        settings.update(kept)
        forget_failed_connections()


def forget_failed_connections() -> None:
    """Collect them before the mark `connections_fail` is over."""
    gc.collect()
