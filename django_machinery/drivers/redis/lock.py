"""The Redis lock: Go's keys, values and expiry (locks/redis/redis.go)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django_machinery.drivers.redis.clients import open_client
from django_machinery.drivers.redis.errors import LOCK
from django_machinery.drivers.redis.lanes import nanoseconds
from django_machinery.drivers.redis.script import Script
from django_machinery.seams.lock import Lock

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig

_ACQUIRE = Script("acquire")
_RELEASE = Script("release")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisLock(Lock):
    """The value is the last nanosecond in which a key is held, which Go programs read too.

    Their keys may outlive that time by up to a second (Go rounds EXPIRE to seconds) or for ever (a program that died
    between GETSET and EXPIRE): what counts is the value, by Redis's own clock.
    """

    supports_sharing: ClassVar[bool] = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._client = open_client(url, config, LOCK)
        self._taken: dict[str, int] = {}
        """What this object wrote: two holders of a key never have the same time."""

    def acquire(self, key: str, until: datetime) -> bool:
        end = nanoseconds(until)
        if not self._client.call(key, _ACQUIRE([key], end - 1, max(end // 1_000_000, 1))):
            return False
        self._taken[key] = end - 1
        return True

    def held_until(self, key: str) -> datetime | None:
        value = self._client.call(key, ("GET", key))
        if value is None:
            return None
        try:
            return _EPOCH + timedelta(microseconds=(int(value) + 1) // 1000)
        except (ValueError, OverflowError):
            return datetime.max.replace(tzinfo=UTC)

    def release(self, key: str) -> bool:
        released: int = self._client.call(key, _RELEASE([key], self._taken.get(key, "")))
        self._taken.pop(key, None)
        return bool(released)

    def close(self) -> None:
        self._client.close()
