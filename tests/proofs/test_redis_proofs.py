"""The proofs on Redis at the size of CI."""

from pathlib import Path

import pytest

from tests.databases import on_databases
from tests.proofs import redis_failover, redis_storm
from tests.proofs.site import site
from tests.services import Redis, require, scratch_directory

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _needs_redis() -> None:
    require(Redis)


def test_workers_that_are_killed_lose_nothing_and_run_nothing_twice_but_what_they_held(database: str, tmp_path: Path):
    with (
        scratch_directory() as directory,
        Redis(directory / "redis").running() as redis,
        site(database, tmp_path, **redis_storm.on_redis(redis.url)) as place,
    ):
        ledger = redis_storm.prove(place, count=2000, kills=6, seed=1)
    assert not ledger.broken, str(ledger)


@pytest.mark.parametrize("fault", redis_failover.FAULTS)
def test_redis_itself_fails(database: str, tmp_path: Path, fault: str):
    with (
        scratch_directory() as directory,
        redis_failover.failing_redis(fault, directory) as (settings, fail),
        site(database, tmp_path, **settings) as place,
    ):
        ledger = redis_failover.prove(place, fault, fail, seconds=8.0)
    assert not ledger.broken, str(ledger)
