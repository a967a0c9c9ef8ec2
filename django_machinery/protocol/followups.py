"""What a task that has ended triggers (worker.go:204-393): pure functions from a signature to the signatures to send.

Every follow-up has a UUID that is fixed by its parent, so that a worker which comes back after a crash sends the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django_machinery.protocol import headers, retry
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import TaskResult
from django_machinery.protocol.workflows import with_follow_up_uuids


def on_success(signature: Signature, results: Sequence[TaskResult | None]) -> tuple[Signature, ...]:
    """The success callbacks; the results end their arguments unless `signature` is immutable (worker.go:266)."""
    callbacks = with_follow_up_uuids(signature).success_callbacks
    if signature.immutable:
        return callbacks
    return tuple(_with_results(callback, results) for callback in callbacks)


def error_callbacks(signature: Signature, error: str) -> tuple[Signature, ...]:
    """The error callbacks; `error` comes before their own arguments, whatever is immutable (worker.go:376)."""
    message = Arg.of(error)
    callbacks = with_follow_up_uuids(signature).error_callbacks
    return tuple(callback.replace(args=(message, *(callback.args or ()))) for callback in callbacks)


def chord_callback(callback: Signature, results: Sequence[Sequence[TaskResult | None]]) -> Signature:
    """The callback with its members' results appended in order, unless it is immutable itself (worker.go:340)."""
    if callback.immutable:
        return callback
    return _with_results(callback, [result for member in results for result in member])


def abandoned(signature: Signature) -> tuple[Signature, ...]:
    """Everything that was to run after the success of `signature` and now cannot: callbacks, and theirs, to the end."""
    lost: list[Signature] = []
    waiting = list(with_follow_up_uuids(signature).success_callbacks)
    while waiting:
        callback = with_follow_up_uuids(waiting.pop(0))
        lost.append(callback)
        waiting.extend(callback.success_callbacks)
    return tuple(lost)


def again(signature: Signature) -> Signature:
    """The retry after an error: one fewer left, after the next Fibonacci number of seconds (worker.go:204).

    Call it only while `retry_count` is above 0.
    """
    wait = retry.fibonacci_next(signature.retry_timeout)
    return headers.with_attempt(signature, headers.attempt(signature) + 1).replace(
        retry_count=signature.retry_count - 1, retry_timeout=wait, eta=timedelta(seconds=wait)
    )


def later(signature: Signature, delay: timedelta, limit: int | None) -> Signature | None:
    """The retry that a task asked for by `RetryLater`; None when it was granted `limit` times before."""
    count = headers.later_count(signature)
    if limit is not None and count >= limit:
        return None
    counted = headers.with_later_count(signature, count + 1)
    return headers.with_attempt(counted, headers.attempt(signature) + 1).replace(eta=delay)


def _with_results(signature: Signature, results: Sequence[TaskResult | None]) -> Signature:
    appended = tuple(Arg(type=result.type, value=result.value) for result in results if result is not None)
    return signature.replace(args=(*(signature.args or ()), *appended))
