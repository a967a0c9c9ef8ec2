"""Runs of tasks that did not succeed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField


class Attempt(models.Model):
    """One run that did not succeed. A successful run leaves no row: its state says it all.

    The index has all that failures are grouped by, so that the long texts are not read for it.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    name = WireCharField()
    generation = models.IntegerField(default=0)
    number = models.IntegerField()
    worker = WireCharField(default="")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    outcome = WireCharField(max_length=16)
    """retry, error, crash, timeout or cancel."""
    exception = WireCharField(default="")
    error = WireTextField(default="")
    traceback = WireTextField(default="")

    class Meta:
        db_table = "machinery_attempt"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["uuid", "generation", "number"], name="machinery_attempt_number")
        ]
        indexes: ClassVar = [
            models.Index(fields=["ended_at", "name", "exception", "outcome", "id"], name="machinery_attempt_ended")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.uuid} run {self.number}: {self.outcome}"
