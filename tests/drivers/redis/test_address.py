"""URLs of Redis: the original's forms, and what they come to."""

from typing import Any

import pytest

from django_machinery.drivers.redis.address import Topology, parse_address
from django_machinery.exceptions import ConfigurationError
from tests.contracts.support import config_with

SINGLE, CLUSTER, SENTINEL = Topology.SINGLE, Topology.CLUSTER, Topology.SENTINEL


def parse(url: str, **settings: Any) -> Any:
    return parse_address(url, config_with(**settings))


@pytest.mark.parametrize(
    ("url", "host", "db", "username", "password"),
    [
        ("redis://localhost", ("localhost", 6379), 0, "", ""),
        ("redis://localhost:6380/", ("localhost", 6380), 0, "", ""),
        ("redis://localhost:6380/7", ("localhost", 6380), 7, "", ""),
        ("redis://secret@localhost/1", ("localhost", 6379), 1, "", "secret"),
        ("redis://:secret@localhost", ("localhost", 6379), 0, "", "secret"),
        ("redis://ann:secret@localhost", ("localhost", 6379), 0, "ann", "secret"),
        ("redis://ann:p%40ss%2Fword@localhost", ("localhost", 6379), 0, "ann", "p@ss/word"),
        ("redis://p@ss/word@localhost:1/2", ("localhost", 1), 2, "", "p@ss/word"),
        ("redis://[::1]:6380/2", ("::1", 6380), 2, "", ""),
        ("redis://[::1]", ("::1", 6379), 0, "", ""),
    ],
)
def test_one_host_is_a_server(url: str, host: tuple[str, int], db: int, username: str, password: str):
    address = parse(url)
    assert (address.topology, address.hosts, address.db) == (SINGLE, (host,), db)
    assert (address.username, address.password, address.tls) == (username, password, False)


@pytest.mark.parametrize(
    ("url", "path", "db", "password"),
    [
        ("redis+socket:///tmp/redis.sock", "/tmp/redis.sock", 0, ""),
        ("redis+socket:///tmp/redis.sock:/3", "/tmp/redis.sock", 3, ""),
        ("redis+socket://secret@/tmp/redis.sock:/0", "/tmp/redis.sock", 0, "secret"),
    ],
)
def test_a_socket_is_a_server(url: str, path: str, db: int, password: str):
    address = parse(url)
    assert (address.topology, address.hosts, address.socket) == (SINGLE, (), path)
    assert (address.db, address.password) == (db, password)


def test_several_hosts_are_a_cluster_with_credentials_in_front_of_the_first_as_they_are():
    address = parse("redis://ann:p%40@a:1,b:2,c")
    assert (address.topology, address.hosts) == (CLUSTER, (("a", 1), ("b", 2), ("c", 6379)))
    assert (address.username, address.password) == ("ann", "p%40")


def test_a_setting_makes_one_host_a_cluster():
    assert parse("rediss://a:1", redis_cluster_enabled=True).topology is CLUSTER


def test_with_a_master_name_hosts_are_sentinels():
    address = parse("redis://secret@a,b:2/3", redis_master_name="tasks")
    assert (address.topology, address.hosts) == (SENTINEL, (("a", 26379), ("b", 2)))
    assert (address.db, address.password, address.master_name) == (3, "secret", "tasks")


def test_with_tls():
    assert parse("rediss://localhost").tls


def test_keys_of_one_server_belong_together_and_those_of_a_cluster_do_not():
    assert parse("redis://a:1/0").store == parse("redis://ann:other@a:1").store
    assert parse("redis://a:1/0").store != parse("redis://a:1/1").store
    assert parse("redis://a:1,b:1").store is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6379",
        "redis://user:hunter2@host:port",
        "redis://hunter2@host/database",
        "redis://hunter2@a,b/1",
        "redis://hunter2@a,,b",
        "redis+socket://hunter2@redis.sock",
        "redis+socket:///redis.sock:/x",
    ],
)
def test_what_is_no_address_is_refused_without_its_secret(url: str):
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)


def test_an_address_does_not_show_its_password():
    assert "hunter2" not in repr(parse("redis://ann:hunter2@localhost"))
