"""How deliveries end: pure functions from what happened to what is to be committed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.protocol import followups, headers
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, RETRY, SUCCESS
from django_machinery.protocol.storable import storable
from django_machinery.seams.backend import Attempt, StateChange
from django_machinery.seams.unit import Burial, Outcome
from django_machinery.worker.errors import error_text, traceback_text, type_path

if TYPE_CHECKING:
    from django_machinery.protocol.states import TaskResult, TaskState
    from django_machinery.seams.broker import Delivery
    from django_machinery.worker.run import Progress, Run


@dataclass(slots=True)
class TaskOutcome(Outcome):
    """An outcome, with what the signals tell of it."""

    seconds: float = 0.0
    exception: BaseException | None = None
    mended: bool = False
    """It stands for an outcome that the store refused."""
    progress: Progress | None = None
    """What a task that was seen to run said last."""


@dataclass(slots=True)
class Released:
    """A delivery that goes back as it came."""

    delivery: Delivery


@dataclass(slots=True)
class Parked:
    """A delivery whose task is not registered here."""

    delivery: Delivery
    signature: Signature


@dataclass(slots=True)
class Committed:
    """An outcome that is durable already, together with what the task itself wrote."""

    outcome: TaskOutcome


Ending = TaskOutcome | Released | Parked | Committed


def undecodable(delivery: Delivery, error: Exception, worker: str) -> TaskOutcome:
    """Bytes that are no message. Where the broker knows whose they are, that task fails: it never will run."""
    outcome = TaskOutcome(delivery, burial=Burial("undecodable", error_text(error), worker))
    if delivery.uuid:
        task = Signature(uuid=delivery.uuid, queue=delivery.queue)
        text = f"the message cannot be read: {error_text(error)}"
        now = datetime.now(UTC)
        outcome.change = StateChange(task, FAILURE, error=text, reason="dead", worker=worker, finished_at=now)
    return outcome


def unworkable(delivery: Delivery, error: BaseException, worker: str) -> TaskOutcome:
    """A message that the worker itself fails on, whatever its task."""
    return TaskOutcome(delivery, burial=Burial("refused", error_text(error), worker))


def ignored(delivery: Delivery, signature: Signature) -> TaskOutcome:
    """A message that nobody needs to run: it is settled, its state stays."""
    return TaskOutcome(delivery, signature)


def poisoned(delivery: Delivery, signature: Signature, worker: str) -> TaskOutcome:
    """A message that ended its process as often as is allowed."""
    error = f"the task ended its worker process {delivery.crashes} times"
    outcome = failed(delivery, signature, error, "crash", worker)
    assert outcome.change is not None
    outcome.change.attempt = Attempt(headers.attempt(signature), "crash", None, datetime.now(UTC), error=error)
    outcome.burial = Burial("poison", error, worker)
    return outcome


def completed(delivery: Delivery, signature: Signature, stored: TaskState) -> TaskOutcome:
    """A task that an earlier run has ended: what that run may not have got round to."""
    outcome = TaskOutcome(delivery, signature, final=stored)
    if stored.state == SUCCESS:
        results = tuple(result for result in stored.results or () if result is not None)
        outcome.follow_ups = followups.on_success(signature, results)
    else:
        outcome.follow_ups = followups.error_callbacks(signature, stored.error)
        outcome.abandoned = followups.abandoned(signature)
    return outcome


def overtaken(outcome: TaskOutcome, stored: TaskState) -> TaskOutcome:
    """In place of an outcome whose task was final already. What nobody can read is kept all the same."""
    if outcome.signature is None:
        return TaskOutcome(outcome.delivery, burial=outcome.burial)
    return completed(outcome.delivery, outcome.signature, stored)


def succeeded(run: Run, results: tuple[TaskResult, ...], worker: str, seconds: float) -> TaskOutcome:
    """The task returned."""
    signature = run.signature
    change = StateChange(
        signature,
        SUCCESS,
        results,
        worker=worker,
        received_at=run.received_at,
        started_at=run.started_at,
        finished_at=datetime.now(UTC),
    )
    follow_ups = followups.on_success(signature, results) if signature.on_success else ()
    return TaskOutcome(run.delivery, signature, change, follow_ups, seconds=seconds, progress=_progress(run))


def failed(delivery: Delivery, signature: Signature, error: str, reason: str, worker: str) -> TaskOutcome:
    """The task is final without success: its error callbacks go, what was to follow its success does not."""
    now = datetime.now(UTC)
    change = StateChange(signature, FAILURE, error=error, reason=reason, worker=worker, finished_at=now)
    return TaskOutcome(
        delivery,
        signature,
        change,
        followups.error_callbacks(signature, error) if signature.on_error else (),
        abandoned=followups.abandoned(signature) if signature.on_success else (),
    )


def cancelled(delivery: Delivery, signature: Signature, error: str, worker: str) -> TaskOutcome:
    """A task that somebody cancelled before it ran."""
    return failed(delivery, signature, error, "cancelled", worker)


def raised(run: Run, exception: BaseException, reason: str, worker: str, seconds: float) -> TaskOutcome:
    """The task raised, and is not run again."""
    outcome = failed(run.delivery, run.signature, error_text(exception), reason, worker)
    assert outcome.change is not None
    outcome.change.received_at = run.received_at
    outcome.change.started_at = run.started_at
    outcome.change.attempt = _attempt(run, exception, reason)
    outcome.seconds = seconds
    outcome.exception = exception
    outcome.progress = _progress(run)
    return outcome


def retried(run: Run, exception: BaseException, reason: str, again: Signature, worker: str) -> TaskOutcome:
    """The task raised, and is run again as `again` says."""
    change = StateChange(
        run.signature,
        RETRY,
        worker=worker,
        received_at=run.received_at,
        started_at=run.started_at,
        attempt=_attempt(run, exception, reason),
    )
    outcome = TaskOutcome(run.delivery, run.signature, change, retry=again)
    outcome.seconds = monotonic() - run.began
    outcome.exception = exception
    outcome.progress = _progress(run)
    return outcome


def refused(outcome: TaskOutcome, error: Exception, worker: str) -> TaskOutcome | None:
    """In place of an outcome that the store cannot hold: the task fails and says why, the second time without details.

    What was refused twice is buried too. Where even that is refused the message is buried and has no state, as when its
    UUID is nothing that the store can hold; None when that was refused.
    """
    if outcome.signature is None:
        return TaskOutcome(outcome.delivery, burial=outcome.burial, mended=True) if outcome.change else None
    if outcome.burial is not None:
        return TaskOutcome(outcome.delivery, burial=outcome.burial, mended=True)
    detail = "" if outcome.mended else f": {storable(error_text(error))}"
    text = f"the outcome of the task cannot be stored{detail}"
    mended = failed(outcome.delivery, outcome.signature, text, "error", worker)
    mended.seconds = outcome.seconds
    if outcome.mended:
        mended.follow_ups = mended.abandoned = ()
        mended.burial = Burial("refused", text, worker)
    mended.mended = True
    return mended


def _progress(run: Run) -> Progress | None:
    return run.progress if run.reported else None


def _attempt(run: Run, exception: BaseException, reason: str) -> Attempt:
    return Attempt(
        headers.attempt(run.signature),
        {"cancelled": "cancel"}.get(reason, reason),
        run.started_at,
        datetime.now(UTC),
        type_path(exception),
        error_text(exception),
        traceback_text(exception),
    )
