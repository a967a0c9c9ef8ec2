"""What the contracts share: short configurations, skipping by flag, races."""

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.db import connections

from django_machinery.conf import ServerConfig, server_config
from django_machinery.protocol.signature import Signature
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker, Consumer, Delivery
from tests.waiting import wait_until

T = TypeVar("T")

OTHER_LIMITS = {"max_message_bytes": 5000, "max_message_depth": 300}
"""Settings: less room than by default in one way, more in another."""
LEASE = 0.6
"""Seconds: long enough for a slow machine to renew in time, short enough to wait for its end."""


def config_with(**changes: Any) -> ServerConfig:
    """The configuration of "default" with a short lease and other changes."""
    return dataclasses.replace(server_config(), **{"lease": LEASE, **changes})


def needs(driver: object, flag: str) -> None:
    """Skip the test unless the driver says that its store can do that."""
    if not getattr(driver, flag):
        pytest.skip(flag)


def database_of(driver: Broker | ResultBackend) -> str:
    """The database alias in whose transactions a driver takes part."""
    assert isinstance(driver.store, tuple)
    return str(driver.store[1])


def deep(levels: int = 250) -> Any:
    """A value of more levels than a message may have by default."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def unique(prefix: str) -> str:
    """A name that no other test uses, for stores that outlive a test."""
    return f"{prefix}-{secrets.token_hex(6)}"


def race(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Call each function in a thread of its own, all at the same instant; what they return, in order."""
    start = Barrier(len(functions))

    def call(function: Callable[[], T]) -> T:
        try:
            start.wait(10)
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as threads:
        return [future.result() for future in [threads.submit(call, function) for function in functions]]


def collect(consumer: Consumer, count: int, *, alone: bool = False, timeout: float = 10.0) -> list[Delivery]:
    """The next `count` deliveries; TimeoutError when they do not come."""
    found: list[Delivery] = []

    def enough() -> bool:
        found.extend(consumer.fetch(count - len(found), alone=alone))
        return len(found) >= count

    wait_until(enough, timeout=timeout, message=lambda: f"{count} deliveries, got {found}")
    return found


def nothing_comes(consumer: Consumer, *, alone: bool = False) -> bool:
    """No message is handed out, neither now nor after the time in which one that was published would have come."""
    if consumer.fetch(10, alone=alone):
        return False
    consumer.wait(0.1)
    return not consumer.fetch(10, alone=alone)


def uuids(items: Sequence[Signature]) -> list[str]:
    return [item.uuid for item in items]
