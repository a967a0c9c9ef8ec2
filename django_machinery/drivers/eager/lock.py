"""The lock of `eager://`: keys that the threads of one process share."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from django_machinery.seams.lock import Lock

_holders: dict[str, tuple[Lock, datetime]] = {}
_guard = threading.Lock()


class EagerLock(Lock):
    def acquire(self, key: str, until: datetime) -> bool:
        with _guard:
            now = datetime.now(UTC)
            if key in _holders and _holders[key][1] > now:
                return False
            for expired in [name for name, (_, end) in _holders.items() if end <= now]:
                del _holders[expired]
            _holders[key] = (self, until)
            return True

    def held_until(self, key: str) -> datetime | None:
        with _guard:
            _, until = _holders.get(key, (None, datetime.now(UTC)))
            return until if until > datetime.now(UTC) else None

    def release(self, key: str) -> bool:
        with _guard:
            holder, until = _holders.get(key, (None, datetime.now(UTC)))
            if holder is not self or until <= datetime.now(UTC):
                return False
            del _holders[key]
            return True
