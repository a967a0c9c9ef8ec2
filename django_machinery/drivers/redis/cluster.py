"""A Redis Cluster: commands go to the node that has the slot of their key."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import redis
from redis.connection import AbstractConnection
from redis.crc import key_slot

from django_machinery.drivers.redis.client import Client
from django_machinery.drivers.redis.errors import translated
from django_machinery.drivers.redis.pool import LOST, Pool, exchange, send
from django_machinery.drivers.redis.script import Command

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.address import Address, Host
    from django_machinery.drivers.redis.errors import Errors

ATTEMPTS = 5
"""How often a command follows a slot that moves."""


class ClusterClient(Client):
    """A command that meets a connection error is not sent again; the next one asks anew who has its slot."""

    one_slot = False

    def __init__(self, address: Address, config: ServerConfig, errors: Errors) -> None:
        super().__init__(address, config, errors)
        self._hosts = list(address.hosts)
        """Nodes to ask for the slots, the most reliable first."""
        self._slots: dict[int, Host] = {}
        self._pools: dict[Host, Pool] = {}
        self._lock = threading.Lock()

    def place(self, key: str) -> Host:
        slot = key_slot(key.encode())
        host = self._slots.get(slot) or self._find_slots().get(slot)
        if host is None:
            raise redis.exceptions.ClusterDownError(f"no node serves the slot {slot}")
        return host

    def close(self) -> None:
        with self._lock:
            pools, self._pools, self._slots = list(self._pools.values()), {}, {}
        for pool in pools:
            pool.close()

    def _pool(self, key: str) -> Pool:
        return self._pool_of(self.place(key))

    def _all_pools(self) -> Sequence[Pool]:
        with translated(self.errors):
            slots = self._find_slots()
        return [self._pool_of(host) for host in dict.fromkeys(slots.values())]

    def _exchange(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        for _ in range(ATTEMPTS):
            self._try(commands, waiting, replies)
            waiting = [index for index in waiting if isinstance(replies[index], _ASTRAY)]
            if not waiting:
                break
            self._follow_asks(commands, waiting, replies)
            self._find_slots()
        return replies

    def _try(self, commands: Sequence[tuple[str, Command]], indexes: Sequence[int], replies: list[Any]) -> None:
        """Send to all nodes, then read from all."""
        parts: dict[Host, list[int]] = {}
        for index in indexes:
            parts.setdefault(self.place(commands[index][0]), []).append(index)
        sent = []
        with ExitStack() as connections:
            for host, part in parts.items():
                pool, batch = self._pool_of(host), [commands[index][1] for index in part]
                with _watching(pool):
                    connection = connections.enter_context(_borrowed(pool))
                    send(connection, batch)
                sent.append((pool, part, partial(pool.read, connection, batch)))
            for pool, part, read in sent:
                with _watching(pool):
                    for index, reply in zip(part, read(), strict=True):
                        replies[index] = reply

    def _follow_asks(self, commands: Sequence[tuple[str, Command]], indexes: list[int], replies: list[Any]) -> None:
        """Send what a node told to ask of another while a slot is on its way; takes these off `indexes`."""
        for index in list(indexes):
            error = replies[index]
            if isinstance(error, redis.exceptions.AskError) and not isinstance(error, redis.exceptions.MovedError):
                with _borrowed(self._pool_of((error.host, error.port))) as connection:
                    replies[index] = exchange(connection, [("ASKING",), commands[index][1]])[1]
                if not isinstance(replies[index], _ASTRAY):
                    indexes.remove(index)

    def _lose(self, host: Host) -> None:
        """A node does not answer: another may have taken over its slots, and is rather asked where they are."""
        with self._lock:
            self._slots = {}
            self._hosts = [*(other for other in self._hosts if other != host), host]

    def _find_slots(self) -> dict[int, Host]:
        """Ask the nodes, one after the other, who has which slots. Raises redis.ConnectionError."""
        for host in list(self._hosts):
            try:
                (reply,) = self._pool_of(host).exchange([("CLUSTER", "SLOTS")])
            except (redis.RedisError, OSError):
                self._lose(host)
                continue
            if isinstance(reply, list) and reply:
                return self._learn(host, reply)
        raise redis.ConnectionError("no node of the Cluster can be reached")

    def _learn(self, asked: Host, reply: list[Any]) -> dict[int, Host]:
        slots: dict[int, Host] = {}
        for first, last, master, *_ in reply:
            host = (master[0].decode() if master[0] else asked[0], int(master[1]))
            slots.update(dict.fromkeys(range(first, last + 1), host))
        with self._lock:
            self._slots = slots
            known = dict.fromkeys([asked, *slots.values(), *self._hosts])
            self._hosts = list(known)
        return slots

    def _pool_of(self, host: Host) -> Pool:
        with self._lock:
            if host not in self._pools:
                connect, lost = partial(self.connector.connect_to, host), partial(self._lose, host)
                self._pools[host] = Pool(connect, self.connector.bounds, lost)
            return self._pools[host]


@contextmanager
def _watching(pool: Pool) -> Iterator[None]:
    """Tell the pool when its node cannot be reached."""
    try:
        yield
    except LOST:
        pool.lose()
        raise


@contextmanager
def _borrowed(pool: Pool) -> Iterator[AbstractConnection]:
    """A connection of a pool. One on which anything goes wrong is closed."""
    connection = pool.take()
    try:
        yield connection
    except BaseException:
        pool.drop(connection)
        raise
    pool.give(connection)


_ASTRAY = (redis.exceptions.AskError, redis.exceptions.TryAgainError)
"""Replies of a node that does not have the slot (MOVED is a kind of ASK), or has only a part of it."""
