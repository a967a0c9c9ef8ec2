"""Dead letters: messages that will not be run, kept for operators."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class DeadLetter(models.Model):
    """A message that was taken off its queue without being run to an end, and why."""

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(max_length=64)
    queue = WireCharField()
    uuid = WireCharField(default="")
    name = WireCharField(default="")
    body = models.BinaryField()
    """Binary: what cannot be decoded may not even be text."""
    reason = WireCharField(max_length=32)
    detail = WireTextField(default="")
    claims = models.IntegerField(default=0)
    crashes = models.SmallIntegerField(default=0)
    worker = WireCharField(default="")
    sent_at = models.DateTimeField(null=True)
    died_at = models.DateTimeField()
    requeued_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "machinery_dead_letter"
        indexes: ClassVar = [
            models.Index(fields=["died_at"], name="machinery_dead_died"),
            models.Index(fields=["queue", "died_at"], name="machinery_dead_queue"),
            models.Index(fields=["uuid"], name="machinery_dead_uuid"),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'undecodable'} {self.uuid}: {self.reason}"
