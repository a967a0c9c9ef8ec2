"""Workers with the timeouts that are set by default, on a Redis that falls silent: back at work within five seconds."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Signature
from tests.acceptance.conftest import RunningWorker, StartWorker, wait_for
from tests.app import tasks
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.services import Redis, RedisCluster, RedisSentinel, require, scratch_directory, stopped
from tests.services.proxy import Proxy

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]
BACK = 5.0
"""Seconds after which a worker consumes again."""
QUEUE = "machinery_tasks"


@pytest.fixture
def directory() -> Iterator[Path]:
    require(Redis)
    with scratch_directory() as directory:
        yield directory


def on(url: str, **settings: Any) -> dict[str, Any]:
    """The settings of a server that keeps everything there, and waits as long as servers do by default."""
    return {"BROKER": url, "RESULT_BACKEND": url, "LOCK": url, "LEASE": 10.0, **settings}


def seconds_to_run_a_task(server: Redis, worker: RunningWorker) -> float:
    """From when `server` takes a message to when it has the result."""
    uuid = unique(f"{{{QUEUE}}}")  # in the slot of the queue, in a Cluster
    body = encode_signature(Signature.of(f"{tasks.__name__}.add", 1, 2, uuid=uuid, queue=QUEUE))
    wait_for(lambda: answer(server, "RPUSH", QUEUE, body), worker)
    start = time.monotonic()
    wait_for(lambda: b"SUCCESS" in (answer(server, "GET", uuid) or b""), worker, timeout=60)
    return time.monotonic() - start


def answer(server: Redis, *command: str | bytes) -> Any:
    """None while it takes no writes, or sends its clients away."""
    try:
        with server.client() as client:
            return client.execute_command(*command)
    except redis.RedisError:
        return None


def test_connections_that_the_network_forgets(start_worker: StartWorker, directory: Path):
    with Redis(directory).running() as server, Proxy(("127.0.0.1", server.port)).running() as proxy:
        worker = start_worker("--processes=2", **on(f"redis://127.0.0.1:{proxy.port}"))
        for _ in range(3):
            assert proxy.forget() > 4
            assert seconds_to_run_a_task(server, worker) < BACK
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0


def test_a_redis_that_hangs_for_a_while(start_worker: StartWorker, directory: Path):
    with Redis(directory).running() as server:
        worker = start_worker("--processes=2", **on(server.url))
        with stopped(server):
            time.sleep(7.0)
        assert seconds_to_run_a_task(server, worker) < BACK
        assert worker.terminate() == 0


def test_a_master_and_a_sentinel_that_hang(start_worker: StartWorker, directory: Path):
    with RedisSentinel(directory).running() as deployment:
        secrets = {"REDIS_MASTER_NAME": deployment.master_name, "REDIS_SENTINEL_PASSWORD": deployment.password}
        worker = start_worker("--processes=2", **on(deployment.url, **secrets))
        master = deployment.master()
        (successor,) = (server for server in deployment.data_servers if server is not master)
        with stopped(master, deployment.sentinels[0]):
            assert seconds_to_run_a_task(successor, worker) < BACK
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0


def test_a_node_of_a_cluster_that_hangs(start_worker: StartWorker, directory: Path):
    with RedisCluster(directory).running() as cluster:
        worker = start_worker("--processes=2", **on(cluster.url))
        master = cluster.master_of(QUEUE)
        with stopped(master):
            assert seconds_to_run_a_task(cluster.replica_of(master), worker) < BACK
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0
