"""Messages: what waits on queues, what workers hold, and the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models, transaction
from django.db.models import Case, Count, F, Min, Q, QuerySet, Value, When

from django_machinery.models.clock import StoreTime, aware
from django_machinery.models.fields import SparseIndex, WireCharField, WireTextField
from django_machinery.models.managers import HotManager
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, OutboxRow, Step
from django_machinery.models.worker_process import WorkerProcess
from django_machinery.protocol.codec import DEFAULT_LIMITS, Limits, encode_signature

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature

GRACE = 2.0
"""Seconds that an outbox row without delay is left to the process that wrote it before a relay takes it up."""
RELAY_TIME = 10.0
"""Seconds that a relay has to publish what it took from the outbox before another takes it."""


class MessageManager(HotManager["Message"]):
    """How messages come, are held and go. Single steps: transactions are the caller's."""

    def put(self, rows: Sequence[NewMessage]) -> None:
        """Insert messages, or replace those of the same UUIDs."""
        if rows:
            self.sql.put_messages(rows)

    def claim(self, worker_id: int, queues: Sequence[str], limit: int, *, alone: bool = False) -> list[Claimed]:
        """Claim ready messages, those of earlier queues first; with `alone` suspects instead."""
        status = Message.Status.SUSPECT if alone else Message.Status.READY
        claimed: list[Claimed] = []
        for queue in queues:
            if len(claimed) < limit:
                claimed += self.sql.claim(worker_id, queue, status, limit - len(claimed))
        return claimed

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        """Claim messages that were parked by a worker which did not know their task."""
        if not names or not queues:
            return []
        return self.sql.claim_parked(worker_id, queues, names, limit)

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        """Delete what this worker still holds of these; returns how many."""
        return self.sql.settle(worker_id, fences) if fences else 0

    def conclude(self, worker_id: int, fences: Sequence[Fence], steps: Sequence[Step]) -> bool:
        """Delete these and write the states of their tasks, unless one is not held or final already: was it done?"""
        return self.sql.conclude(worker_id, fences, steps)

    def held(self, worker_id: int, fences: Sequence[Fence]) -> set[Fence]:
        """What this worker still holds of these; in a transaction, until its end."""
        rows = self.filter(id__in=[id for id, _ in fences], worker_id=worker_id).order_by("id")
        if self.connection.in_atomic_block:
            rows = rows.select_for_update()
        return {*rows.values_list("id", "claims")} & {*fences}

    def replaced(self, worker_id: int, fences: Sequence[Fence]) -> set[Fence]:
        """Which of these this worker held when they were replaced by a message of the same UUID, such as a retry."""
        rows = self.filter(id__in=[id for id, _ in fences], worker_id=worker_id).exclude(status=Message.Status.CLAIMED)
        return {*rows.values_list("id", F("claims") - 1)} & {*fences}

    def give_back(self, worker_id: int, fences: Sequence[Fence], *, parked: bool = False) -> int:
        """Undo claims of this worker, without counting them; returns how many still were its own."""
        return self.sql.give_back(worker_id, fences, parked) if fences else 0

    def give_back_all(self, worker_id: int) -> int:
        """Undo all claims of a worker that ends in good order."""
        back = Case(When(suspect=True, then=Value(Message.Status.SUSPECT)), default=Value(Message.Status.READY))
        held = self.filter(status=Message.Status.CLAIMED, worker_id=worker_id)
        return held.update(status=back, worker_id=None, claims=F("claims") - 1)

    def reclaim(self, worker_id: int, *, blame: bool = True) -> int:
        """Make everything that a dead worker held a suspect; what it ran alone is blamed. Returns how many."""
        return _accuse(self.filter(status=Message.Status.CLAIMED, worker_id=worker_id), blame=blame)

    def reclaim_strays(self) -> int:
        """`reclaim` for every worker that is lost or gone."""
        alive = WorkerProcess.objects.using(self.db).filter(lease_until__isnull=False).values("id")
        strays = self.filter(status=Message.Status.CLAIMED).exclude(worker_id__in=alive)
        return _accuse(strays) if strays.exists() else 0

    def any_ready(self, queues: Sequence[str]) -> bool:
        """Is there anything to claim?"""
        return self.sql.any_ready(queues)

    def promote(self, limit: int) -> list[str]:
        """Make delayed messages ready that are due; returns the queue of each."""
        return self.sql.promote(limit)

    def next_due(self) -> float | None:
        """Seconds until the next delayed message is due, 0 or less when one is; None: there is none."""
        return self.sql.next_due()

    def ready(self, queue: str) -> QuerySet[Message]:
        """What waits on a queue, in the order in which it is handed out; at the end what is parked, or to run alone."""
        return self.filter(status__in=_READY, queue=queue).order_by("status", "rank", "due_at", "id")

    def delayed(self) -> QuerySet[Message]:
        """What waits for its time, soonest first."""
        return self.filter(status=Message.Status.LATER).order_by("due_at", "id")

    def take(self, worker_id: int, uuids: Sequence[str]) -> list[Claimed]:
        """Claim the messages of these tasks that wait, whatever for."""
        waiting = self.filter(uuid__in=list(uuids), status__in=_WAITING)
        if not waiting.update(status=Message.Status.CLAIMED, worker_id=worker_id, claims=F("claims") + 1):
            return []
        taken = self.filter(uuid__in=list(uuids), status=Message.Status.CLAIMED, worker_id=worker_id)
        return [Claimed(*row) for row in taken.values_list(*Claimed._fields[:-1])]

    def hasten(self, uuids: Sequence[str]) -> list[str]:
        """Make delayed messages of these tasks ready; returns the queue of each."""
        delayed = self.filter(uuid__in=list(uuids), status=Message.Status.LATER)
        queues = list(delayed.values_list("queue", flat=True))
        delayed.update(status=Message.Status.READY, due_at=StoreTime())
        return queues

    def tally(self) -> QuerySet[Message, tuple[str, int, int, datetime]]:
        """Of each queue and status of what waits: how many, and since or until when the first."""
        kinds = self.filter(status__in=(*_READY, Message.Status.LATER))
        return kinds.order_by().values_list("queue", "status").annotate(Count("id"), Min("due_at"))

    def suspects(self, queues: Sequence[str]) -> QuerySet[Message]:
        """What waits to be run alone."""
        return self.filter(status=Message.Status.SUSPECT, queue__in=queues)

    def outbox_put(self, server: str, signatures: Sequence[Signature], limits: Limits = DEFAULT_LIMITS) -> list[Fence]:
        """Keep messages for a server's broker until they are due; for each its row's id and number of writes.

        Raises `EncodeError` for one beyond the limits, with nothing written.
        """
        now = datetime.now(UTC)
        rows = {s.uuid: _outbox_row(server, s, now, limits) for s in signatures}
        self.put(list(rows.values()))
        found = self.filter(uuid__in=list(rows)).values_list("uuid", "id", "claims")
        fences = {uuid: (id, claims) for uuid, id, claims in found}
        return [fences[signature.uuid] for signature in signatures]

    def outbox_due(self, server: str, limit: int) -> list[OutboxRow]:
        """Messages for a relay to publish; no other relay gets them for a while."""
        return self.sql.take_outbox(server, limit, RELAY_TIME)

    def outbox_hasten(self, server: str, uuids: Sequence[str]) -> int:
        """Make messages of a server's outbox due now; returns how many."""
        kept = self.filter(uuid__in=list(uuids), status=Message.Status.OUTBOX, relay_to=server)
        return kept.filter(due_at__gt=StoreTime()).update(due_at=StoreTime())

    def outbox_kept(self, server: str, uuids: Sequence[str]) -> dict[str, datetime]:
        """Which of these tasks have a message in a server's outbox, and since when."""
        kept = self.filter(uuid__in=list(uuids), status=Message.Status.OUTBOX, relay_to=server)
        return {uuid: aware(since) for uuid, since in kept.values_list("uuid", "created_at")}

    def outbox_queues(self, server: str) -> dict[str, int]:
        """How many messages of each queue wait in a server's outbox."""
        kept = self.filter(status=Message.Status.OUTBOX, relay_to=server)
        return dict(kept.order_by().values_list("queue").annotate(Count("id")))

    def outbox_delete(self, rows: Iterable[Fence]) -> int:
        """Delete what was published, unless it was written again meanwhile; returns how many rows."""
        published = [Q(id=id, claims=claims) for id, claims in rows]
        count = 0
        with transaction.atomic(using=self.db):
            for start in range(0, len(published), 200):
                chunk = Q(*published[start : start + 200], _connector=Q.OR)
                count += self.filter(chunk, status=Message.Status.OUTBOX).delete()[0]
        return count


def _accuse(held: QuerySet[Message], *, blame: bool = True) -> int:
    """Suspects are run alone: the crash of a process that held one and nothing else was that one's own."""
    if not blame:
        return held.update(suspect=True, status=Message.Status.SUSPECT, worker_id=None)
    single = held.values("worker_id").annotate(messages=Count("id")).filter(messages=1)
    alone = When(suspect=True, worker_id__in=list(single.values_list("worker_id", flat=True)), then=F("crashes") + 1)
    crashes = Case(alone, default=F("crashes"), output_field=models.IntegerField())
    return held.update(crashes=crashes, suspect=True, status=Message.Status.SUSPECT, worker_id=None)


def _outbox_row(server: str, signature: Signature, now: datetime, limits: Limits) -> NewMessage:
    eta = signature.eta
    return NewMessage(
        uuid=signature.uuid,
        queue=signature.queue,
        name=signature.name,
        status=Message.Status.OUTBOX,
        rank=-signature.priority,
        due_at=eta if eta is not None and eta > now else now + timedelta(seconds=GRACE),
        body=encode_signature(signature, limits).decode(),
        relay_to=server,
    )


class Message(models.Model):
    """One encoded signature on a queue. It is deleted in the step that makes its outcome durable."""

    class Status(models.IntegerChoices):
        """Where a message is. The numbers are in hot statements and indexes: they never change."""

        READY = 0, "ready"
        LATER = 1, "delayed"
        CLAIMED = 2, "held by a worker"
        PARKED = 3, "parked: a worker did not know the task"
        OUTBOX = 4, "in the outbox"
        SUSPECT = 5, "ready, but to be run alone"

    id = models.BigAutoField(primary_key=True)
    uuid = WireCharField()
    queue = WireCharField()
    name = WireCharField()
    status = models.SmallIntegerField(choices=Status)
    rank = models.SmallIntegerField(db_column="rank_")
    """The priority, negated, so that one index gives the order."""
    due_at = models.DateTimeField()
    """When it became ready, becomes ready (LATER) or is for a relay (OUTBOX). The longest ready come first."""
    expires_at = models.DateTimeField(null=True)
    body = WireTextField()
    worker_id = models.BigIntegerField(null=True)
    """The row of the worker process that holds it, or held it last."""
    claims = models.IntegerField(db_default=0)
    """How often it has been handed out, released claims not counted; in the outbox, how often it was written again."""
    crashes = models.SmallIntegerField(db_default=0)
    suspect = models.BooleanField(db_default=False)
    """It was held by a process that crashed."""
    relay_to = WireCharField(max_length=64, db_default="")
    """Outbox: the settings alias of the server whose broker it has to reach."""
    created_at = models.DateTimeField()

    objects: ClassVar[MessageManager] = MessageManager()

    class Meta:
        db_table = "machinery_message"
        constraints: ClassVar = [models.UniqueConstraint(fields=["uuid"], name="machinery_message_uuid")]
        indexes: ClassVar = [
            models.Index(fields=["status", "queue", "rank", "due_at", "id"], name="machinery_message_claim"),
            SparseIndex(fields=["status", "due_at"], name="machinery_message_due", where=Q(status__in=[1, 4])),
            SparseIndex(fields=["status", "name"], name="machinery_message_parked", where=Q(status=3)),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.uuid} on {self.queue}"


_READY = (Message.Status.READY, Message.Status.PARKED, Message.Status.SUSPECT)
_WAITING = (*_READY, Message.Status.LATER)
