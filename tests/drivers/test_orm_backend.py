"""`orm://`: the result backend contract on every engine, and what only this backend does."""

from collections.abc import Iterator

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.seams.backend import ResultBackend
from tests.contracts.backend import BackendContract
from tests.drivers.orm import away


class TestOrmBackend(BackendContract):
    @pytest.fixture
    def backend(self, config: ServerConfig, database: str) -> ResultBackend:
        return OrmBackend(f"orm://{database}", config)

    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[ResultBackend]:
        with away(database):
            yield OrmBackend(f"orm://{database}", config)
