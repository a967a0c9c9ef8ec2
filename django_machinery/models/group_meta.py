"""Groups: how many members are left, and whether the callback of a chord was triggered."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class GroupMeta(models.Model):
    """One group. Its members are the `TaskState`s with its UUID, in the order of their `group_index`.

    A member counts once, with its first final state: one that is started anew later changes nothing here.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    total = models.IntegerField()
    remaining = models.IntegerField()
    failed = models.IntegerField(default=0)
    callback_uuid = WireCharField(null=True)
    callback = WireTextField(null=True)
    triggered_by = WireCharField(null=True)
    """The member whose end triggered the callback, or its failure."""
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    """When nothing more could come of the group: all members final and the callback, if any, triggered."""

    class Meta:
        db_table = "machinery_group_meta"
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_group_uuid")]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="machinery_group_created")]

    def __str__(self) -> str:
        return f"{self.uuid}: {self.total - self.remaining} of {self.total}"
