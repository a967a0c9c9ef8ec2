"""Talking to Redis: to one server, found directly or through Sentinels. `cluster` has the same for a Cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import redis

from django_machinery.drivers.redis.connecting import Connector
from django_machinery.drivers.redis.errors import Errors, translate, translated
from django_machinery.drivers.redis.line import Line
from django_machinery.drivers.redis.pool import Pool
from django_machinery.drivers.redis.script import Command

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.address import Address


PAGE = 1000
"""Keys that one step of a scan looks at, about."""


class Client:
    """What the driver asks of Redis. Thread-safe; connects when it is first used; may be used again after `close`.

    A command is sent once: whether to send it again after an error is for the caller to say. Every method raises the
    seam's errors, as `Errors` names them.
    """

    one_slot = True
    """One script may touch any keys together."""

    def __init__(self, address: Address, config: ServerConfig, errors: Errors) -> None:
        self.address = address
        self.errors = errors
        self.connector = Connector(address, config)

    def call(self, key: str, command: Command) -> Any:
        """The reply to a command, which is sent to where `key` is."""
        return self.calls([(key, command)])[0]

    def calls(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        """The replies to commands, each sent to where its key is; one round trip a server, no transaction.

        Raises the first error after all commands were tried.
        """
        if not commands:
            return []
        try:
            replies = self._exchange(commands)
        except (redis.RedisError, OSError) as error:
            raise translate(error, self.errors) from error
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise translate(reply, self.errors) from reply
        return replies

    def scan(self) -> Iterator[list[str]]:
        """The keys of all strings on all servers, in pages: one that moves meanwhile comes twice, or not at all."""
        for pool in self._all_pools():
            cursor = b""
            while cursor != b"0":
                cursor, keys = self._ask(pool, ("SCAN", cursor or b"0", "COUNT", PAGE, "TYPE", "string"))
                yield [key.decode(errors="replace") for key in keys]

    def size(self) -> int:
        """How many keys there are, on all servers."""
        return sum(self._ask(pool, ("DBSIZE",)) for pool in self._all_pools())

    def line(self, key: str) -> Line:
        """A connection of the caller's own to where `key` is, for commands that wait."""
        with translated(self.errors):
            return Line(self._pool(key), self.errors)

    def place(self, key: str) -> object:
        """What tells apart the servers that keys are on."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def _ask(self, pool: Pool, command: Command) -> Any:
        with translated(self.errors):
            (reply,) = pool.exchange([command])
            if isinstance(reply, redis.ResponseError):
                raise reply
        return reply

    def _exchange(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        raise NotImplementedError

    def _pool(self, key: str) -> Pool:
        raise NotImplementedError

    def _all_pools(self) -> Sequence[Pool]:
        """One for each server that has keys."""
        raise NotImplementedError


class SingleClient(Client):
    """One server has all keys: the one of the address, or whom the Sentinels call the master."""

    def __init__(self, address: Address, config: ServerConfig, errors: Errors) -> None:
        super().__init__(address, config, errors)
        self._only = Pool(self.connector.connect, self.connector.bounds)

    def place(self, key: str) -> object:
        return None

    def close(self) -> None:
        self._only.close()

    def _exchange(self, commands: Sequence[tuple[str, Command]]) -> list[Any]:
        return self._only.exchange([command for _, command in commands])

    def _pool(self, key: str) -> Pool:
        return self._only

    def _all_pools(self) -> Sequence[Pool]:
        return [self._only]
