"""Where the databases come from: a new one for each measurement, all on one server or one disk."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.target import Target
from tests.services import Postgres, Redis, scratch_directory

_numbers = itertools.count()


class Store(ABC):
    """Makes databases, and knows which server processes work for them."""

    title: str

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes whose CPU time counts as the queue's."""
        return ()

    @abstractmethod
    def fresh(self) -> AbstractContextManager[Target]:
        """A new and empty database, for as long as the block lasts."""


class PostgresStore(Store):
    title = "PostgreSQL"

    def __init__(self, server: Postgres) -> None:
        self._server = server

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._server.pid,)

    @contextmanager
    def fresh(self) -> Iterator[Target]:
        name = f"benchmark_{next(_numbers)}"
        # Nobody shall pay for what the one before has left to be written.
        self._execute(f"CREATE DATABASE {name}", "CHECKPOINT")
        try:
            yield Target("postgres", name, str(self._server.directory))
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self._server.directory), user="postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


class SqliteStore(Store):
    title = "SQLite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def fresh(self) -> Iterator[Target]:
        file = self._directory / f"benchmark_{next(_numbers)}.sqlite3"
        try:
            yield Target("sqlite", str(file))
        finally:
            for path in self._directory.glob(f"{file.name}*"):
                path.unlink()


class RedisStore(Store):
    title = "Redis"

    def __init__(self, server: Redis, directory: Path) -> None:
        self._server = server
        self._directory = directory

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._server.pid,)

    @contextmanager
    def fresh(self) -> Iterator[Target]:
        with self._server.client() as client:
            client.flushall()
        file = self._directory / f"benchmark_{next(_numbers)}.sqlite3"
        try:
            yield Target("redis", str(file), self._server.url)
        finally:
            for path in self._directory.glob(f"{file.name}*"):
                path.unlink()


@contextmanager
def open_stores() -> Iterator[dict[str, Store]]:
    """The stores that can be had here, by engine; their servers run while the block lasts."""
    with ExitStack() as stack:
        directory = stack.enter_context(scratch_directory())
        stores: dict[str, Store] = {"sqlite": SqliteStore(directory)}
        if not Postgres.missing():
            server = stack.enter_context(Postgres(directory / "postgres", durable=True).running())
            stores["postgres"] = PostgresStore(server)
        if not Redis.missing():
            redis = stack.enter_context(Redis(directory / "redis").running())
            stores["redis"] = RedisStore(redis, directory)
        yield stores
