"""Redis URLs, in the forms of the original's documentation (v1/factories.go), and what they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from django_machinery.conf import parse_url, redact
from django_machinery.exceptions import ConfigurationError

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig

Host = tuple[str, int]

PORT, SENTINEL_PORT = 6379, 26379


class Topology(Enum):
    """What answers at an address."""

    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"
    """Sentinels, which know where the master is."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is and how to get in."""

    topology: Topology
    hosts: tuple[Host, ...] = ()
    socket: str = ""
    """The path of a Unix socket, instead of hosts."""
    db: int = 0
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    master_name: str = ""

    @property
    def store(self) -> tuple[object, ...] | None:
        """Names the store whose keys one script may touch together; None in a Cluster, where slots part them."""
        if self.topology is Topology.CLUSTER:
            return None
        return ("redis", self.socket, tuple(sorted(self.hosts)), self.master_name, self.db)


def parse_address(url: str, config: ServerConfig) -> Address:
    """The address that a URL names, with the REDIS_* settings of its server. Raises ConfigurationError.

    redis://[[user:]password@]host[:port][/db]
    redis://[[user:]password@]host1[:port],host2[:port],...   Cluster, or Sentinels with REDIS_MASTER_NAME
    rediss://...                                              either of them with TLS
    redis+socket://[password@]/path[:/db]
    """
    scheme, rest = parse_url(url)
    try:
        if scheme == "redis+socket":
            return _parse_socket(rest)
        return _parse_hosts(rest, config, tls=scheme == "rediss")
    except ValueError as error:
        raise ConfigurationError(f"{redact(url)!r} is no address of Redis: {error}") from error


def _parse_socket(rest: str) -> Address:
    password, separator, place = rest.partition("@")
    if not separator:
        password, place = "", rest
    path, _, db = place.partition(":")
    if not path.startswith("/"):
        raise ValueError("redis+socket://[password@]/path/to/file.sock[:/db]")
    return Address(Topology.SINGLE, socket=path, password=password, db=_number(db.removeprefix("/") or "0"))


def _parse_hosts(rest: str, config: ServerConfig, *, tls: bool) -> Address:
    place, _, db = rest.partition("/") if "@" not in rest else _split_after_credentials(rest)
    credentials, _, hosts = place.rpartition("@")
    names = hosts.split(",")
    topology = _topology(config, len(names))
    if topology is Topology.CLUSTER and _number(db or "0"):
        raise ValueError("a Redis Cluster has no other database than 0")
    port = SENTINEL_PORT if topology is Topology.SENTINEL else PORT
    # The original decodes credentials in front of a single host and takes those in front of several as they are.
    username, password = _credentials(credentials, decode=len(names) == 1)
    return Address(
        topology,
        hosts=tuple(_host(name, port) for name in names),
        db=_number(db or "0"),
        tls=tls,
        username=username,
        password=password,
        master_name=config.redis_master_name,
    )


def _split_after_credentials(rest: str) -> tuple[str, str, str]:
    """Like `rest.partition("/")`, for a password that may hold a slash."""
    credentials, _, place = rest.rpartition("@")
    hosts, slash, db = place.partition("/")
    return f"{credentials}@{hosts}", slash, db


def _topology(config: ServerConfig, hosts: int) -> Topology:
    if config.redis_master_name:
        return Topology.SENTINEL
    return Topology.CLUSTER if hosts > 1 or config.redis_cluster_enabled else Topology.SINGLE


def _credentials(text: str, *, decode: bool) -> tuple[str, str]:
    username, separator, password = text.partition(":")
    if not separator:
        username, password = "", text
    return (unquote(username), unquote(password)) if decode else (username, password)


def _host(text: str, default_port: int) -> Host:
    name, _, port = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "")
    if not name.strip("[]"):
        raise ValueError("a host is missing")
    return name.strip("[]"), _port(port) if port else default_port


def _port(text: str) -> int:
    port = _number(text)
    if not 0 < port < 2**16:
        raise ValueError(f"{text} is not a port: 1 to 65535")
    return port


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a number")
    return int(text)
