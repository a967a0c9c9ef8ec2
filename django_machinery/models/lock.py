"""Locks that expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.db import IntegrityError, models

from django_machinery.models.clock import StoreTime
from django_machinery.models.fields import WireCharField

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LockManager(models.Manager["Lock"]):
    """Outside of transactions: what is taken is seen by others at once."""

    def acquire(self, name: str, until: datetime, token: str) -> bool:
        """Take a key that is free or expired, until then by the database's clock."""
        held = {"value": (until - _EPOCH) // timedelta(microseconds=1) * 1000, "token": token, "expires_at": until}
        if self.filter(name=name, expires_at__lte=StoreTime()).update(**held):
            return True
        try:
            self.create(name=name, **held)
        except IntegrityError:
            return False
        return True

    def held_until(self, name: str) -> datetime | None:
        """Until when a key is held; None: it is free or expired."""
        return self.filter(name=name, expires_at__gt=StoreTime()).values_list("expires_at", flat=True).first()

    def release(self, name: str, token: str) -> bool:
        """Free a key that is still held under this token."""
        return self.filter(name=name, token=token, expires_at__gt=StoreTime()).delete()[0] > 0


class Lock(models.Model):
    """A key that somebody holds until `expires_at`."""

    name = WireCharField(primary_key=True)
    value = models.BigIntegerField()
    """The time until which it is held, in Go's nanoseconds since 1970."""
    token = WireCharField(max_length=64)
    """Of the holder: only who has it releases the lock."""
    expires_at = models.DateTimeField()

    objects: ClassVar[LockManager] = LockManager()

    class Meta:
        db_table = "machinery_lock"
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="machinery_lock_expires")]

    def __str__(self) -> str:
        return str(self.name)
