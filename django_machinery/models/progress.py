"""How far running tasks are, for those whose states live in another store."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField


class Progress(models.Model):
    """How far a task says it is. Where states live in this database, `TaskState` has the same columns."""

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    note = WireCharField(default="")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "machinery_progress"
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_progress_uuid")]
        indexes: ClassVar = [models.Index(fields=["updated_at"], name="machinery_progress_updated")]

    def __str__(self) -> str:
        return f"{self.uuid}: {self.done} of {self.total}"
