"""A server of each pair of the matrix, and a worker in a thread of its own where the broker needs one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from django_machinery import Worker, servers
from django_machinery.server import Server
from tests.app.tasks import RECORD
from tests.integration.matrix import settings_of
from tests.services.redis_stores import redis_stores

__all__ = ["redis_stores"]


@pytest.fixture
def further_settings() -> dict[str, Any]:
    """What a module sets besides, in a fixture of its own of this name."""
    return {}


@pytest.fixture
def server(
    database: str,
    broker: str,
    backend: str,
    further_settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Server]:
    """The server "default" of this pair."""
    monkeypatch.setenv(RECORD, str(tmp_path / "record"))
    stores = request.getfixturevalue("redis_stores") if "redis" in broker + backend else None
    settings = settings_of(database, broker, backend, tmp_path, stores)
    with override_settings(MACHINERY={"default": {**settings, **further_settings}}):
        yield servers["default"]


@pytest.fixture
def worker(server: Server) -> Iterator[Worker | None]:
    """A worker that runs while the test does; None where tasks run inline."""
    if server.broker.executes_inline:
        yield None
        return
    with running(Worker(server, concurrency=2)) as worker:
        yield worker


@contextmanager
def running(worker: Worker) -> Iterator[Worker]:
    """Run a worker in a thread; what it raises is raised at the end."""

    def run() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1, "worker") as threads:
        future = threads.submit(run)
        try:
            yield worker
        finally:
            worker.stop()
        future.result(30)
