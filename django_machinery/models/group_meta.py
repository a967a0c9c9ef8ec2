"""Groups: how many members are left, and whether the callback of a chord was triggered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from django_machinery.models.clock import StoreTime
from django_machinery.models.fields import WireCharField, WireTextField


class GroupMetaManager(models.Manager["GroupMeta"]):
    """How groups are counted: one row each, whatever the number of members."""

    def start(self, uuid: str, total: int, callback_uuid: str | None, callback: str | None) -> None:
        """Store a group of which nothing has run. A second time changes nothing."""
        group = GroupMeta(
            uuid=uuid,
            total=total,
            remaining=total,
            callback_uuid=callback_uuid,
            callback=callback,
            created_at=StoreTime(),
        )
        self.bulk_create([group], ignore_conflicts=True)

    def count_down(self, ended: Mapping[str, tuple[int, int]]) -> list[GroupMeta]:
        """Count members that became final: for each group how many, and of them failed. Returns the groups as they are.

        In a transaction, which keeps the rows locked: two that end the last two members must see each other.
        """
        groups = list(self.select_for_update().filter(uuid__in=list(ended)).order_by("uuid"))
        for group in groups:
            done, failed = ended[group.uuid]
            group.remaining -= done
            group.failed += failed
            if done:
                self.filter(id=group.id).update(remaining=F("remaining") - done, failed=F("failed") + failed)
        self._settle([group for group in groups if group.callback_uuid is None and group.remaining <= 0])
        return groups

    def trigger(self, uuid: str, by: str) -> bool:
        """Let one member trigger the callback: true for the first that asks, and for the same one again."""
        free = self.filter(Q(triggered_by__isnull=True) | Q(triggered_by=by), uuid=uuid)
        return free.update(triggered_by=by, settled_at=StoreTime()) > 0

    def _settle(self, groups: list[GroupMeta]) -> None:
        if groups:
            ids = [group.id for group in groups]
            self.filter(id__in=ids, settled_at__isnull=True).update(settled_at=StoreTime())


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
    """When nothing more could come of the group: its callback was triggered or, without one, all members were final."""

    objects: ClassVar[GroupMetaManager] = GroupMetaManager()

    class Meta:
        db_table = "machinery_group_meta"
        verbose_name = _("group meta")
        verbose_name_plural = _("group metas")
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_group_uuid")]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="machinery_group_created")]

    def __str__(self) -> str:
        return f"{self.uuid}: {self.remaining} of {self.total} left"
