"""The lock seam: at most one holder of a key until a time, on the store's clock (Go: locks/iface/interfaces.go)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig


class Lock:
    """A store of locks. One object per server alias and process; safe to use from several threads."""

    supports_sharing: ClassVar[bool] = False
    """Programs that know nothing of this project's database, such as Go's, can hold its keys."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        self.url = url
        self.config = config

    def acquire(self, key: str, until: datetime) -> bool:
        """Take `key` until the aware time `until`; false while anybody holds it, this object included.

        Commits by itself: a caller's transaction neither delays nor undoes it. Raises `LockUnavailable`.
        """
        raise NotImplementedError

    def release(self, key: str) -> bool:
        """Free `key` if this object took it and still holds it; returns whether it did."""
        raise NotImplementedError

    def held_until(self, key: str) -> datetime | None:
        """The time that whoever took `key` gave, to the microsecond, which may just have passed; None: it is free.

        Raises `LockUnavailable`.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free connections. The lock may be used again afterwards."""

    def check(self) -> list[CheckMessage]:
        """What `manage.py check` should say about this lock and its configuration."""
        return []
