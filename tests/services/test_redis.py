"""The Redis servers of the tests: what they listen on, what survives them, and that a lost master is replaced."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.services import Redis, RedisCluster, RedisSentinel, require, scratch_directory
from tests.services.certificates import Certificates
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    require(Redis)
    with scratch_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def certificates(directory: Path) -> Certificates:
    certificates = Certificates(directory / "certificates")
    certificates.create()
    return certificates


@pytest.fixture(scope="module")
def server(directory: Path, certificates: Certificates) -> Iterator[Redis]:
    with Redis(directory / "one", certificates=certificates).running() as server:
        yield server


def test_a_server_answers_on_its_port_its_socket_and_with_tls(server: Redis, certificates: Certificates):
    certificate, key = map(str, certificates.client)
    secure = redis.Redis(
        host="localhost",
        port=server.tls_port,
        ssl=True,
        ssl_ca_certs=str(certificates.authority),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    for client in (server.client(), redis.Redis(unix_socket_path=server.socket_path), secure):
        with client:
            assert client.ping()


def test_a_server_is_not_root(server: Redis):
    if not os.path.exists(f"/proc/{server.pid}"):
        pytest.skip("needs /proc")
    assert os.stat(f"/proc/{server.pid}").st_uid != 0


def test_what_was_acknowledged_survives_a_crash_of_the_server(server: Redis):
    server.client().set("kept", "7")
    server.kill()
    server.start()
    assert server.client().get("kept") == b"7"


def test_a_cluster_replaces_a_master(directory: Path):
    with RedisCluster(directory / "cluster").running() as cluster:
        first, *others = cluster.masters()
        assert len(others) == 2
        first.kill()
        wait_until(lambda: len(cluster.masters()) == 3, timeout=20)


def test_sentinels_replace_a_master(directory: Path):
    with RedisSentinel(directory / "sentinel").running() as sentinel:
        master = sentinel.master()
        master.client().set("kept", "7")
        master.client().wait(1, 1000)
        master.kill()
        wait_until(lambda: sentinel.master() is not master, timeout=20)
        assert sentinel.master().client().get("kept") == b"7"
