"""The database that a contender works on, known to its processes by an environment variable."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

VARIABLE = "BENCHMARK_TARGET"
STATS = "BENCHMARK_STATS"  # 0: the product records no figures
SQLITE_PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL")


@dataclass(frozen=True)
class Target:
    """A store. SQLite: `name` is the file. PostgreSQL: `host` is the directory of the socket. Redis: `host` is the URL,
    and `name` the SQLite file with the tables of the project."""

    engine: str
    name: str
    host: str = ""

    @classmethod
    def of_environment(cls) -> Target:
        """The database that this process was started for."""
        return cls(*os.environ[VARIABLE].split("|"))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be started for this database."""
        return {VARIABLE: f"{self.engine}|{self.name}|{self.host}"}

    @property
    def dsn(self) -> str:
        """For libpq."""
        return f"host={self.host} dbname={self.name} user=postgres"

    def connect_sqlite(self) -> sqlite3.Connection:
        """A connection as everybody's: a write-ahead log that is synced at checkpoints, and writers that queue up."""
        connection = sqlite3.connect(self.name, isolation_level=None, timeout=20, check_same_thread=False)
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        return connection
