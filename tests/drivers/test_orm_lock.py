"""`orm://`: the lock contract on every engine, and what only this lock does."""

from collections.abc import Iterator

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.lock import OrmLock
from django_machinery.seams.lock import Lock
from tests.contracts.lock import LockContract
from tests.drivers.orm import away


class TestOrmLock(LockContract):
    @pytest.fixture
    def lock(self, config: ServerConfig, database: str) -> Lock:
        return OrmLock(f"orm://{database}", config)

    @pytest.fixture
    def other(self, config: ServerConfig, database: str) -> Lock:
        return OrmLock(f"orm://{database}", config)

    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[Lock]:
        with away(database):
            yield OrmLock(f"orm://{database}", config)
