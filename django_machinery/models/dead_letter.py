"""Dead letters: messages that will not be run, kept for operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_machinery.models.clock import StoreTime
from django_machinery.models.fields import WireCharField, WireTextField, fitted


class Delivery(Protocol):
    """What is kept of a delivery."""

    body: bytes
    queue: str
    uuid: str
    claim: int
    crashes: int


class Invocation(Protocol):
    """What is kept of a signature."""

    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...


class Burial(Protocol):
    """Why, and by whom."""

    @property
    def reason(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def worker(self) -> str: ...


class Buried(Protocol):
    """The outcome of a delivery that will not be run."""

    @property
    def delivery(self) -> Delivery: ...
    @property
    def signature(self) -> Invocation | None: ...
    @property
    def burial(self) -> Burial | None: ...


class DeadLetterManager(models.Manager["DeadLetter"]):
    """Burying, and what may be dug out again."""

    def bury(self, server: str, outcome: Buried) -> None:
        """Keep a message. A delivery that comes again after a crash is buried once.

        What says which message it is fits its columns, whatever it is; the body is kept as it came.
        """
        delivery, signature, burial = outcome.delivery, outcome.signature, outcome.burial
        assert burial is not None
        self.get_or_create(
            server=server,
            queue=fitted(delivery.queue),
            uuid=fitted(signature.uuid if signature is not None else delivery.uuid),
            body=delivery.body,
            requeued_at=None,
            defaults={
                "name": fitted(signature.name if signature is not None else ""),
                "reason": burial.reason,
                "detail": fitted(burial.detail, longest=None),
                "claims": delivery.claim,
                "crashes": delivery.crashes,
                "worker": burial.worker,
                "died_at": StoreTime(),
            },
        )

    def waiting(self, server: str, ids: Iterable[int]) -> list[DeadLetter]:
        """Those of these letters that were not requeued yet, oldest first."""
        return list(self.filter(server=server, id__in=list(ids), requeued_at=None).order_by("id"))


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

    objects: ClassVar[DeadLetterManager] = DeadLetterManager()

    class Meta:
        db_table = "machinery_dead_letter"
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        permissions: ClassVar = [
            ("requeue_deadletter", "Can send dead letters again"),
            ("view_raw_deadletter", "Can see the unmasked messages of dead letters"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["died_at"], name="machinery_dead_died"),
            models.Index(fields=["queue", "died_at"], name="machinery_dead_queue"),
            models.Index(fields=["uuid"], name="machinery_dead_uuid"),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'undecodable'} {self.uuid}: {self.reason}"

    def mark_requeued(self) -> None:
        """Note that its message was sent again."""
        self.requeued_at = StoreTime()
        self.save(update_fields=["requeued_at"])
