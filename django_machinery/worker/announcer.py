"""Tells the signals what a worker does. Nothing is made or sent for a signal that nobody listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_machinery import signals
from django_machinery.protocol.states import FAILURE, RETRY, SUCCESS
from django_machinery.server import Server
from django_machinery.worker.errors import traceback_text

if TYPE_CHECKING:
    from django.dispatch import Signal

    from django_machinery.protocol.signature import Signature
    from django_machinery.worker.outcomes import TaskOutcome


class Announcer:
    """Sends the signals of one worker of one server."""

    def __init__(self, server: Server, worker: str) -> None:
        self._facts = {"server": server.alias, "worker": worker}

    def starts(self, signature: Signature) -> None:
        """A task was received and is about to run."""
        if signals.task_received.receivers:
            self._send(signals.task_received, signature=signature)
        if signals.task_started.receivers:
            self._send(signals.task_started, signature=signature)

    def committed(self, outcome: TaskOutcome) -> None:
        """An outcome is durable."""
        if outcome.burial is not None:
            self._buried(outcome)
        if outcome.change is None:
            return
        if outcome.change.state == SUCCESS:
            self._succeeded(outcome)
        elif outcome.change.state == FAILURE:
            self._failed(outcome)
        elif outcome.change.state == RETRY:
            self._retried(outcome)

    def parked(self, signature: Signature) -> None:
        """A message waits for a worker that knows its task."""
        if signals.task_parked.receivers:
            self._send(signals.task_parked, signature=signature)

    def lease_lost(self, token: str) -> None:
        """What was claimed under this token belongs to others."""
        if signals.lease_lost.receivers:
            self._send(signals.lease_lost, token=token)

    def worker(self, signal: Signal) -> None:
        """`worker_started`, `worker_stopping` or `worker_stopped`."""
        if signal.receivers:
            self._send(signal)

    def _succeeded(self, outcome: TaskOutcome) -> None:
        if signals.task_succeeded.receivers:
            assert outcome.change is not None
            results = outcome.change.results
            self._send(signals.task_succeeded, signature=outcome.signature, results=results, seconds=outcome.seconds)

    def _failed(self, outcome: TaskOutcome) -> None:
        if signals.task_failed.receivers:
            assert outcome.change is not None
            self._send(
                signals.task_failed,
                signature=outcome.change.signature,
                error=outcome.change.error,
                exception=outcome.exception,
                traceback=traceback_text(outcome.exception) if outcome.exception is not None else "",
                reason=outcome.change.reason,
                seconds=outcome.seconds,
            )

    def _retried(self, outcome: TaskOutcome) -> None:
        if signals.task_retried.receivers:
            assert outcome.change is not None
            attempt = outcome.change.attempt
            self._send(
                signals.task_retried,
                signature=outcome.signature,
                error=attempt.error if attempt is not None else "",
                exception=outcome.exception,
                eta=outcome.retry.eta if outcome.retry is not None else None,
            )

    def _buried(self, outcome: TaskOutcome) -> None:
        if signals.message_rejected.receivers and outcome.burial is not None:
            burial = outcome.burial
            self._send(
                signals.message_rejected, queue=outcome.delivery.queue, reason=burial.reason, detail=burial.detail
            )

    def _send(self, signal: Signal, **arguments: Any) -> None:
        signal.send_robust(Server, **self._facts, **arguments)
