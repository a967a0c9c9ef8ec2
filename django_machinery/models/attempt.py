"""Runs of tasks that did not succeed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Protocol

from django.db import models

from django_machinery.models.fields import WireCharField, WireTextField, fitted


class Invocation(Protocol):
    """What is kept of a signature."""

    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...


class Run(Protocol):
    """What is kept of a run."""

    @property
    def number(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime: ...
    @property
    def exception(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def traceback(self) -> str: ...


class AttemptManager(models.Manager["Attempt"]):
    """Writing runs down."""

    def record(self, rows: Iterable[Attempt]) -> None:
        """Insert them, in one statement; one that was recorded before a crash stays as it is."""
        self.bulk_create(rows, ignore_conflicts=True)


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

    objects: ClassVar[AttemptManager] = AttemptManager()

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

    @classmethod
    def of(cls, signature: Invocation, run: Run, worker: str, generation: int) -> Attempt:
        """A row for a run; its texts as every database takes them."""
        return cls(
            uuid=fitted(signature.uuid),
            name=fitted(signature.name),
            generation=generation,
            number=run.number,
            worker=fitted(worker),
            started_at=run.started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            exception=fitted(run.exception),
            error=fitted(run.error, longest=None),
            traceback=fitted(run.traceback, longest=None),
        )
