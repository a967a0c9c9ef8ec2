"""Real servers for the tests, started by the tests themselves. A module a server; `shared` starts the run's own."""

import os

import pytest

from tests.services.base import DatabaseServer, Service, scratch_directory, stopped
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.redis import Redis, RedisCluster, RedisSentinel

__all__ = [
    "DatabaseServer",
    "MariaDB",
    "Postgres",
    "Redis",
    "RedisCluster",
    "RedisSentinel",
    "Service",
    "require",
    "scratch_directory",
    "stopped",
]


def require(service: type[Service]) -> None:
    """Skip the running test when `service` cannot be started; fail it on CI, where nothing may be left out."""
    if reason := service.missing():
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
