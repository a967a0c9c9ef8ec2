"""What huey's consumers run, on any store."""

from typing import Any

import huey  # type: ignore[import-not-found,import-untyped,unused-ignore]
from huey.storage import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    PostgresStorage,
    RedisStorage,
    SqliteStorage,
)

from tests.benchmarks.target import SQLITE_PRAGMAS, Target


class SyncedAtCheckpoints(SqliteStorage):  # type: ignore[misc,unused-ignore]
    """synchronous=NORMAL, between which and its neighbours huey has no option."""

    def _create_connection(self) -> Any:
        connection = super()._create_connection()
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        return connection


def open_queue(name: str) -> Any:
    target = Target.of_environment()
    if target.engine == "postgres":
        return huey.Huey(name, storage_class=PostgresStorage, dsn=target.dsn)
    if target.engine == "redis":
        return huey.Huey(name, storage_class=RedisStorage, url=target.host)
    return huey.Huey(name, storage_class=SyncedAtCheckpoints, filename=target.name, timeout=20)


measured, other = open_queue("measured"), open_queue("other")


@measured.task()  # type: ignore[untyped-decorator,unused-ignore]
def add(x: int, y: int) -> int:
    return x + y


@other.task()  # type: ignore[untyped-decorator,unused-ignore]
def add_other(x: int, y: int) -> int:
    return x + y
