"""Locks that expire."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField


class Lock(models.Model):
    """A key that somebody holds until `expires_at`."""

    name = WireCharField(primary_key=True)
    value = models.BigIntegerField()
    """The time until which it is held, in Go's nanoseconds since 1970."""
    token = WireCharField(max_length=64)
    """Of the holder: only who has it releases the lock."""
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "machinery_lock"
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="machinery_lock_expires")]

    def __str__(self) -> str:
        return str(self.name)
