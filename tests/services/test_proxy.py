"""The proxy does what it says."""

import socket
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services import Redis
from tests.services.proxy import Proxy
from tests.services.redis_stores import Stores, redis_stores

__all__ = ["redis_stores"]


@pytest.fixture
def proxy(redis_stores: Stores) -> Iterator[Proxy]:
    (server,) = redis_stores.get("tcp").servers()
    assert isinstance(server, Redis)
    with Proxy(("127.0.0.1", server.port)).running() as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with redis.Redis(port=proxy.port, socket_timeout=0.3, retry=Retry(NoBackoff(), 0)) as client:
        assert client.ping()
        yield client


def test_bytes_are_passed_on_both_ways(client: redis.Redis):
    text = b"x" * 1_000_000
    client.set("large", text)
    assert client.get("large") == text


def test_a_cut_resets_connections_and_new_ones_work(proxy: Proxy, client: redis.Redis):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    assert client.ping()


def test_a_black_hole_keeps_connections_and_answers_nothing_until_it_heals(proxy: Proxy, client: redis.Redis):
    proxy.blackhole()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    proxy.heal()
    assert client.ping()


def test_a_proxy_may_refuse(proxy: Proxy, client: redis.Redis):
    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.heal()
    assert client.ping()


def test_a_reply_may_end_in_its_middle(proxy: Proxy, client: redis.Redis):
    client.set("large", b"x" * 10_000)
    proxy.break_replies_after(5000)
    with pytest.raises(redis.ConnectionError):
        client.get("large")
    assert client.get("large") == b"x" * 10_000
