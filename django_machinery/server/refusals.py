"""Messages that no try would ever send: their tasks fail, and they are kept as dead letters.

One that cannot be read any more, or is larger than its broker takes, must not hold up those behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from django_machinery.exceptions import BackendRefused, DecodeError, EncodeError, MessageTooLarge
from django_machinery.protocol import followups
from django_machinery.protocol.codec import Limits, encode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE
from django_machinery.seams.backend import StateChange
from django_machinery.seams.consumer import Consumer, Delivery
from django_machinery.seams.unit import Burial, OrderedUnit, Outcome, Verdict

if TYPE_CHECKING:
    from django_machinery.models.sql.rows import OutboxRow
    from django_machinery.seams.backend import ResultBackend
    from django_machinery.seams.unit import Bury, Publish

HOPELESS = (DecodeError, EncodeError, MessageTooLarge, BackendRefused)
"""Errors of a send that come again however often it is tried."""

_NO_LIMITS = Limits(sys.maxsize, sys.maxsize, sys.maxsize)


class Refusals:
    """Ends tasks that cannot be sent as a worker ends those that fail: callbacks, groups and chords included."""

    def __init__(self, backend: ResultBackend, publish: Publish, bury: Bury, tell: Callable[[Outcome], None]) -> None:
        """`tell` is called with what has become a dead letter."""
        self._backend = backend
        self._tell = tell
        self._bury = bury
        self._unit = OrderedUnit(_Unclaimed(), backend, publish, bury)

    def refuse(self, signature: Signature, error: Exception) -> None:
        """Fail a task because its message cannot be sent. Raises what the stores raise; may be called again then."""
        text = f"the task cannot be sent: {error}"
        known = _bare(signature) if isinstance(error, EncodeError) else signature
        self._end(
            Outcome(
                Delivery(_body(signature), signature.queue, None, "", uuid=signature.uuid),
                signature,
                StateChange(known, FAILURE, error=text, reason="dead"),
                followups.error_callbacks(signature, text),
                abandoned=followups.abandoned(signature),
                burial=Burial("refused", str(error)),
            )
        )

    def refuse_row(self, row: OutboxRow, error: DecodeError) -> None:
        """The same for a row that cannot be read, of which no more is known than its columns say."""
        known = Signature(uuid=row.uuid, name=row.name, queue=row.queue)
        change = StateChange(known, FAILURE, error=f"the message cannot be read: {error}", reason="dead")
        delivery = Delivery(row.body.encode(), row.queue, None, "", uuid=row.uuid)
        self._end(Outcome(delivery, None, change, burial=Burial("undecodable", str(error))))

    def _end(self, outcome: Outcome) -> None:
        try:
            (verdict,) = self._unit.commit([outcome])
        except (BackendRefused, EncodeError):  # the store cannot even hold its failure
            self._bury(outcome)
        else:
            if verdict is Verdict.OVERTAKEN:
                self._complete(outcome)
        self._tell(outcome)

    def _complete(self, outcome: Outcome) -> None:
        """The task has ended: by an earlier call, that may not have got round to the rest, or by a run."""
        assert outcome.change is not None
        (state,) = self._backend.get_states([outcome.change.uuid])
        if state is not None and state.is_failure:
            self._unit.commit([replace(outcome, change=None, final=state)])


class _Unclaimed(Consumer):
    """Stands for the queue of messages that are on none."""

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return [True] * len(deliveries)


def _bare(signature: Signature) -> Signature:
    """Without what has no bounds."""
    return signature.replace(args=None, headers=None, on_success=None, on_error=None, chord_callback=None)


def _body(signature: Signature) -> bytes:
    """The message however large it is; nothing where it has no form at all."""
    try:
        return encode_signature(signature, _NO_LIMITS)
    except EncodeError:
        return b""
