"""The Redis lock: Go's keys, values and expiry (locks/redis/redis.go)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.clients import open_client
from django_machinery.drivers.redis.errors import LOCK
from django_machinery.drivers.redis.lanes import nanoseconds
from django_machinery.drivers.redis.script import Script
from django_machinery.seams.lock import Lock

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig

_RELEASE = Script("release")


class RedisLock(Lock):
    """The value is the time until which a key is held, in nanoseconds, which Go programs read too."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._client = open_client(url, config, LOCK)
        self._taken: dict[str, int] = {}
        """What this object wrote: two holders of a key never have the same time."""

    def acquire(self, key: str, until: datetime) -> bool:
        end = nanoseconds(until)
        command = ("SET", key, end - 1, "NX", "PXAT", max(end // 1_000_000, 1))
        if self._client.call(key, command) is None:
            return False
        self._taken[key] = end - 1
        return True

    def release(self, key: str) -> bool:
        released: int = self._client.call(key, _RELEASE([key], self._taken.get(key, "")))
        self._taken.pop(key, None)
        return bool(released)

    def close(self) -> None:
        self._client.close()
