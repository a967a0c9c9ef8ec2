"""From an address and the settings to connections."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from django_machinery.drivers.redis.address import Topology
from django_machinery.drivers.redis.pool import LOST, Bounds, exchange

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.address import Address, Host

SHORTEST_TIMEOUT = 2.0
"""Seconds: a lease may be shorter than what a busy server takes to answer."""
SENTINEL_TIMEOUT = 1.0
"""Seconds after which the next Sentinel is asked: all know the same, and have little to do."""


class Connector:
    """Opens connections. Raises what redis-py raises."""

    def __init__(self, address: Address, config: ServerConfig) -> None:
        self._address = address
        self._config = config
        self._sentinels = address.hosts
        """In the order in which they are asked: those that were of no use come last."""
        # A connection that died unseen must be given up before the lease that is renewed over it runs out.
        patience = max(config.lease / 2, SHORTEST_TIMEOUT)
        self.timeout = min(max(config.redis_read_timeout, config.redis_write_timeout), patience)
        """Seconds that a reply may take."""
        self._options: dict[str, Any] = {
            "protocol": 2,
            "socket_timeout": self.timeout,
            "socket_connect_timeout": min(config.redis_connect_timeout, patience),
            "retry": Retry(NoBackoff(), 0),
            "client_name": config.redis_client_name or None,
        }
        self._credentials = {"username": address.username or None, "password": address.password or None}

    @property
    def bounds(self) -> Bounds:
        config = self._config
        wait = config.redis_connect_timeout if config.redis_wait else 0.0
        return Bounds(config.redis_max_idle, config.redis_max_active, config.redis_idle_timeout, wait)

    def connect(self) -> AbstractConnection:
        """A connection to the one server that there is, or to the master that the Sentinels name."""
        if self._address.topology is Topology.SENTINEL:
            return self._connect_to_master()
        if self._address.socket:
            path, db = self._address.socket, self._address.db
            return _opened(UnixDomainSocketConnection, path=path, db=db, **self._credentials, **self._options)
        return self.connect_to(self._address.hosts[0])

    def connect_to(self, host: Host) -> AbstractConnection:
        """A connection to one server of the address."""
        return self._open(host, db=self._address.db, **self._credentials)

    def _connect_to_master(self) -> AbstractConnection:
        sentinel, host = self._find_master()
        try:
            connection = self.connect_to(host)
            try:
                self._require_master(connection)
            except BaseException:
                connection.disconnect()
                raise
        except LOST:
            self._ask_last(sentinel)  # it may be the one that has not heard of a new master
            raise
        return connection

    def _require_master(self, connection: AbstractConnection) -> None:
        (role,) = exchange(connection, [("ROLE",)])
        if isinstance(role, Exception) or role[0] != b"master":
            raise redis.ConnectionError(f"the Sentinels name a master of {self._address.master_name} that is none yet")

    def _find_master(self) -> tuple[Host, Host]:
        """A Sentinel, and the master that it names."""
        for sentinel in self._sentinels:
            with suppress(redis.RedisError, OSError):
                if found := self._ask(sentinel):
                    return sentinel, found
            self._ask_last(sentinel)
        raise redis.ConnectionError(f"no Sentinel knows a master of {self._address.master_name}")

    def _ask_last(self, sentinel: Host) -> None:
        self._sentinels = (*(other for other in self._sentinels if other != sentinel), sentinel)

    def _ask(self, sentinel: Host) -> Host | None:
        patience = min(self.timeout, SENTINEL_TIMEOUT)
        timeouts = {"socket_timeout": patience, "socket_connect_timeout": patience}
        connection = self._open(sentinel, password=self._config.redis_sentinel_password or None, **timeouts)
        try:
            question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master_name)
            (found,) = exchange(connection, [question])
            return (found[0].decode(), int(found[1])) if isinstance(found, list) else None
        finally:
            connection.disconnect()

    def _open(self, host: Host, **options: Any) -> AbstractConnection:
        options = {"host": host[0], "port": host[1], "socket_keepalive": True, **self._options, **options}
        if not self._address.tls:
            return _opened(Connection, **options)
        config = self._config
        return _opened(
            SSLConnection,
            ssl_ca_certs=config.redis_tls_ca or None,
            ssl_certfile=config.redis_tls_cert or None,
            ssl_keyfile=config.redis_tls_key or None,
            ssl_check_hostname=config.redis_tls_check_hostname,
            **options,
        )


def _opened(kind: Callable[..., AbstractConnection], **options: Any) -> AbstractConnection:
    connection = kind(**options)
    connection.connect()
    return connection
