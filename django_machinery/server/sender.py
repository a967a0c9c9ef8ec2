"""How messages leave: within the caller's transaction, after it, or at once; and what a crash left behind, again.

A broker on the app's own database takes part in the transaction of the caller. For every other broker the message is
an outbox row of that transaction, published and deleted after the commit; the relay publishes what a crash left. Delays
that a broker cannot hold wait in the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction

from django_machinery.exceptions import (
    BackendUnavailable,
    BrokerUnavailable,
    DecodeError,
    EncodeError,
    MachineryError,
    MessageTooLarge,
)
from django_machinery.protocol.codec import decode_signature, encode_signature
from django_machinery.results.transactions import open_block
from django_machinery.server.announced import absent, with_all_that_follow
from django_machinery.server.refusals import HOPELESS

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.models.message import MessageManager
    from django_machinery.models.sql.rows import OutboxRow
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend, StateChange
    from django_machinery.seams.broker import Broker
    from django_machinery.server.refusals import Refusals


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be stored before its members are sent."""

    uuid: str
    members: Sequence[str]
    callback: Signature | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent as one: signatures that are complete, the states that go with them, and the group they make up."""

    signatures: Sequence[Signature]
    changes: Sequence[StateChange]
    group: NewGroup | None = None


class Sender:
    """Sends batches through one server's broker."""

    def __init__(
        self,
        config: ServerConfig,
        broker: Broker,
        backend: ResultBackend,
        outbox: MessageManager,
        refusals: Refusals,
    ) -> None:
        self._config = config
        self._broker = broker
        self._backend = backend
        self._outbox = outbox
        self._refusals = refusals

    def send(self, batch: Batch, database: str | None) -> Any:
        """Send within the transaction that is open on `database` (None: the app's own), or at once outside of one.

        Returns the open transaction, None outside. Raises `MessageTooLarge` and `EncodeError` before anything is
        written.
        """
        alias = database or self._config.database
        block = open_block(alias)
        is_now = block is None or self._joins(alias)
        if self._broker.max_body is not None or not is_now:
            for signature in batch.signatures:
                self._refuse_unfit(signature)
        if is_now:
            self.send_now(batch)
        elif self._broker.executes_inline or alias != self._config.database:
            transaction.on_commit(lambda: self.send_now(batch), using=alias)
        else:
            self._send_by_outbox(batch, alias)
        return block

    def send_now(self, batch: Batch) -> None:
        """Send what the broker can take now, keep the rest in the outbox until it is due."""
        with self._one_transaction() if batch.group is not None else nullcontext():
            self._init_group(batch)
            if self._broker.supports_delay or self._broker.executes_inline:
                self._broker.send(self._backend, batch.changes, batch.signatures)
            else:
                self._send_without_delay(batch)

    def send_follow_ups(self, signatures: Sequence[Signature]) -> list[Signature]:
        """Send what ends of tasks trigger, each PENDING unless it has a state; returns what was sent.

        There is no caller who could mend one that is too large: its task fails.
        """
        fit = []
        for signature in signatures:
            try:
                self._refuse_unfit(signature)
            except (EncodeError, MessageTooLarge) as error:
                self._refusals.refuse(signature, error)
            else:
                fit.append(signature)
        if fit:
            self.send_now(Batch(fit, absent(fit)))
        return fit

    def relay(self, limit: int) -> int:
        """Publish outbox rows that are due and that nobody else is about to publish; returns how many were taken.

        The task of a row that can never be sent fails. Raises what a store raises, when all others are published.
        """
        rows = self._outbox.outbox_due(self._config.alias, limit)
        error = self._relay(rows) if rows else None
        if error is not None:
            raise error
        return len(rows)

    def kept(self, uuids: Sequence[str]) -> Mapping[str, datetime]:
        """Which of these messages wait in the outbox, and since when."""
        if self._broker.executes_inline or self._joins(self._config.database):
            return {}
        return self._outbox.outbox_kept(self._config.alias, uuids)

    def hasten(self, uuids: Sequence[str]) -> int:
        """Make delayed messages of these tasks in the outbox due now; returns how many."""
        return self._outbox.outbox_hasten(self._config.alias, uuids)

    def _joins(self, alias: str) -> bool:
        """Does the broker write in the transaction that is open on `alias`?"""
        return self._broker.supports_transactions and self._broker.store == ("orm", alias)

    def _one_transaction(self) -> AbstractContextManager[Any]:
        if self._joins(self._config.database) and self._backend.supports_transactions:
            return transaction.atomic(using=self._config.database, savepoint=False)
        return nullcontext()

    def _init_group(self, batch: Batch) -> None:
        if batch.group is not None:
            self._backend.init_group(batch.group.uuid, batch.group.members, batch.group.callback)

    def _relay(self, rows: Sequence[OutboxRow]) -> MachineryError | None:
        """Publish rows. Where that fails they are divided, so that one holds up no other; an error that may pass."""
        try:
            self._publish_rows(rows)
        except (BrokerUnavailable, BackendUnavailable):
            raise
        except MachineryError as error:
            if len(rows) > 1:
                middle = len(rows) // 2
                errors = [self._relay(rows[:middle]), self._relay(rows[middle:])]
                return errors[0] or errors[1]
            if not isinstance(error, HOPELESS):
                return error
            self._refuse_row(rows[0], error)
        return None

    def _publish_rows(self, rows: Sequence[OutboxRow]) -> None:
        signatures = [decode_signature(row.body.encode(), self._config.limits) for row in rows]
        for signature in signatures if self._broker.max_body is not None else ():
            self._refuse_unfit(signature)
        self._broker.send(self._backend, with_all_that_follow(signatures), signatures)
        self._outbox.outbox_delete([(row.id, row.claims) for row in rows])

    def _refuse_row(self, row: OutboxRow, error: MachineryError) -> None:
        if isinstance(error, DecodeError):
            self._refusals.refuse_row(row, error)
        else:
            self._refusals.refuse(decode_signature(row.body.encode(), self._config.limits), error)
        self._outbox.outbox_delete([(row.id, row.claims)])

    def _send_without_delay(self, batch: Batch) -> None:
        """States first, then the rows, which are undone where nothing can be published: who is told of an error may
        send again, and nothing runs twice."""
        now = datetime.now(UTC)
        held = [signature for signature in batch.signatures if _waits(signature, now)]
        ready = [signature for signature in batch.signatures if not _waits(signature, now)]
        if not held:
            self._broker.send(self._backend, batch.changes, ready)
            return
        self._backend.set_states(batch.changes)
        with transaction.atomic(using=self._config.database):
            self._outbox.outbox_put(self._config.alias, held, self._config.limits)
            self._broker.send(self._backend, (), ready)

    def _send_by_outbox(self, batch: Batch, alias: str) -> None:
        """A backend outside the database gets the group now: after a rollback it expires, and nobody asks for it."""
        self._init_group(batch)
        changes = batch.changes
        if self._backend.supports_transactions:
            self._backend.set_states(changes)
            changes = ()
        rows = self._outbox.outbox_put(self._config.alias, batch.signatures, self._config.limits)
        now = datetime.now(UTC)
        due = [(s, row) for s, row in zip(batch.signatures, rows, strict=True) if not _waits(s, now)]
        transaction.on_commit(lambda: self._publish_committed(due, changes), using=alias, robust=True)

    def _publish_committed(
        self, due: Sequence[tuple[Signature, tuple[int, int]]], changes: Sequence[StateChange]
    ) -> None:
        """The rows hold what fails here, so an error is only logged (`robust`): the relay goes on with them."""
        self._broker.send(self._backend, changes, [signature for signature, _ in due])
        self._outbox.outbox_delete([row for _, row in due])

    def _refuse_unfit(self, signature: Signature) -> None:
        """Raise `EncodeError` or `MessageTooLarge` for what cannot be sent."""
        size, most = len(encode_signature(signature, self._config.limits)), self._broker.max_body
        if most is not None and size > most:
            raise MessageTooLarge(f"Task {signature.name!r} makes a message of {size} bytes; the broker takes {most}")


def _waits(signature: Signature, now: datetime) -> bool:
    return signature.eta_text is not None and signature.eta is not None and signature.eta > now
