"""How late delayed tasks run: they are due one after the other, and the worker has nothing else to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from tests.acceptance.conftest import StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.proofs.ledger import percentile
from tests.services import Redis, require, scratch_directory

COUNT = 120
APART = 0.0437
"""Seconds between two tasks: no multiple of any period of the worker."""
MEDIANS = {"redis": 0.02, "orm": 0.05}
"""Seconds, several times what it takes. The slowest of them say more about this machine, and are shown only."""

logger = logging.getLogger(__name__)


@contextmanager
def broker_settings(kind: str, database: str) -> Iterator[dict[str, Any]]:
    if kind == "orm":
        yield settings.MACHINERY[database]
        return
    require(Redis)
    with scratch_directory() as directory, Redis(directory).running() as redis:
        yield {"BROKER": redis.url, "RESULT_BACKEND": redis.url, "LOCK": redis.url}


@on_databases("default")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["redis", "orm"])
def test_delayed_tasks_run_at_their_time(start_worker: StartWorker, database: str, kind: str):
    with broker_settings(kind, database) as machinery, override_settings(MACHINERY={database: machinery}):
        worker = start_worker(LEASE=10.0, **machinery)
        first = datetime.now(UTC) + timedelta(seconds=1.5)
        times = [first + timedelta(seconds=APART * number) for number in range(COUNT)]
        results = [tasks.present.using(eta=eta).send() for eta in times]
        wait_for(lambda: results[-1].is_completed, worker)
        late = [result.get(20) - eta.timestamp() for result, eta in zip(results, times, strict=True)]
        assert worker.terminate() == 0
    shown = ", ".join(f"p{part * 100:.0f} {percentile(late, part) * 1000:.1f} ms" for part in (0.5, 0.9, 0.99))
    logger.info("Delayed tasks on %s: %s, the last one %.1f ms", kind, shown, max(late) * 1000)
    assert min(late) >= 0, "too soon"
    assert percentile(late, 0.5) < MEDIANS[kind], shown
