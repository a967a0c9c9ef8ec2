"""Keys under which only one task may wait or run at a time."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField


class UniqueKey(models.Model):
    """Which task holds a key. It outlives the message, also one that left through the outbox."""

    key = WireCharField(primary_key=True, db_column="key_")
    uuid = WireCharField()
    until = models.DateTimeField()

    class Meta:
        db_table = "machinery_unique_key"
        indexes: ClassVar = [models.Index(fields=["until"], name="machinery_unique_until")]

    def __str__(self) -> str:
        return str(self.key)
