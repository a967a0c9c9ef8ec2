"""From a delivery to how it ended: decode, look up, convert, call. One executor serves all threads of a process."""

from __future__ import annotations

from asyncio import CancelledError
from contextvars import Context
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, transaction

from django_machinery import control
from django_machinery.exceptions import (
    BackendUnavailable,
    BrokerUnavailable,
    ConfigurationError,
    DecodeError,
    RetryLater,
    TaskCancelled,
    TaskTimedOut,
)
from django_machinery.inspector.masking import secrets_of
from django_machinery.protocol import followups
from django_machinery.protocol.go_types import results_to_wire
from django_machinery.seams.unit import Verdict
from django_machinery.worker import outcomes
from django_machinery.worker.context import TaskContext
from django_machinery.worker.controls import Controls
from django_machinery.worker.errors import concealed
from django_machinery.worker.interrupts import ThreadInterrupt
from django_machinery.worker.outcomes import Committed, Ending, Parked, Released, TaskOutcome
from django_machinery.worker.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django_machinery.models.control import Wish
    from django_machinery.protocol.signature import Signature
    from django_machinery.protocol.states import TaskState
    from django_machinery.registry import TaskDefinition
    from django_machinery.seams.broker import Delivery
    from django_machinery.seams.unit import Unit
    from django_machinery.server import Server
    from django_machinery.worker.announcer import Announcer
    from django_machinery.worker.hooks import Hooks
    from django_machinery.worker.loop import EventLoop


class Executor:
    """Runs the tasks of one server's deliveries."""

    def __init__(
        self,
        server: Server,
        unit: Unit,
        worker: str,
        hooks: Hooks,
        announcer: Announcer,
        loop: EventLoop,
        controls: Controls | None = None,
        limited: Callable[[], None] = lambda: None,
    ) -> None:
        """Without `controls` nothing is cancelled before it runs. `limited` is called when a run with a hard timeout
        has begun, and when it has ended."""
        self._server = server
        self._controls = controls or Controls(server)
        self._unit = unit
        self._worker = worker
        self._hooks = hooks
        self._announcer = announcer
        self._loop = loop
        self._limited = limited
        self._decode = server.decode
        self._find = server.registry.find
        self._max_crashes = server.config.max_crashes
        self._one_store = server.broker.store is not None and server.broker.store == server.backend.store

    def execute(self, delivery: Delivery, occupy: Callable[[Run | None], object]) -> Ending:
        """Run what was delivered. `occupy` is told which run goes on in this thread, and None when it has ended.

        Raises `BackendUnavailable` when an earlier run's state cannot be looked up: nothing has been run then.
        """
        try:
            signature = self._decode(delivery.body)
        except DecodeError as error:
            return outcomes.undecodable(delivery, error, self._worker)
        if self._controls.cancelled and (wish := self._controls.wish_for(signature)) is not None:
            return outcomes.cancelled(delivery, signature, control.cancelled_text(wish.by), self._worker)
        definition = self._find(signature.name)
        if definition is None:
            ignore = signature.ignore_when_task_not_registered
            return outcomes.ignored(delivery, signature) if ignore else Parked(delivery, signature)
        if delivery.crashes >= self._max_crashes:
            return outcomes.poisoned(delivery, signature, self._worker)
        if delivery.redelivered and not self._one_store and (stored := self._final(signature)) is not None:
            return outcomes.completed(delivery, signature, stored)
        run = _begin(delivery, signature, definition)
        occupy(run)
        if definition.hard_timeout is not None:
            self._limited()
        try:
            # A context of its own, so that language, time zone and the like end with the task.
            return Context().run(self._perform, run)
        finally:
            occupy(None)
            if definition.hard_timeout is not None:
                self._limited()

    def timed_out(self, run: Run) -> TaskOutcome:
        """How a run ends whose process is about to be ended: its hard time limit is over."""
        error = TaskTimedOut(f"the task ran longer than its hard timeout of {run.definition.hard_timeout:g} s")
        return self._raised(run, error)

    def cancelled(self, run: Run, wish: Wish) -> TaskOutcome:
        """How a run ends whose process is about to be ended because somebody wants it cancelled at once."""
        by = f" by {wish.by}" if wish.by else ""
        return self._raised(run, TaskCancelled(f"the task was cancelled{by}, and its process ended"))

    def _final(self, signature: Signature) -> TaskState | None:
        (state,) = self._server.backend.get_states([signature.uuid])
        return state if state is not None and state.is_completed else None

    def _perform(self, run: Run) -> Ending:
        self._announcer.starts(run.signature)
        self._hooks.before(run.signature)
        try:
            args, kwargs = run.definition.parameters.to_call(run.signature.args)
        except Exception as error:
            return outcomes.raised(run, self._concealed(run, error), "error", self._worker, 0.0)
        try:
            if run.definition.atomic:
                return self._run_atomically(run, args, kwargs)
            return self._succeeded(run, self._call(run, args, kwargs))
        except BaseException as error:
            return self._raised(run, error)
        finally:
            self._hooks.after(run.signature)

    def _call(self, run: Run, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        definition = run.definition
        if definition.takes_context:
            args = (TaskContext(run), *args)
        if definition.is_async:
            return self._loop.call(run, args, kwargs)
        if definition.timeout is None:
            return definition.func(*args, **kwargs)
        interrupt = run.interrupt = ThreadInterrupt()
        try:
            return definition.func(*args, **kwargs)
        finally:
            run.interrupt = None
            interrupt.disarm()

    def _succeeded(self, run: Run, value: Any) -> TaskOutcome:
        seconds = monotonic() - run.began
        results = () if value is None else results_to_wire(value, run.definition.parameters.returns)
        return outcomes.succeeded(run, results, self._worker, seconds)

    def _raised(self, run: Run, error: BaseException) -> TaskOutcome:
        signature = run.signature
        reason = _reason(error)
        if not isinstance(error, Exception | CancelledError):
            run.escaped = error
        if isinstance(error, TaskTimedOut) and not error.args:
            error.args = (f"the task ran longer than its timeout of {run.definition.timeout:g} s",)
        try:
            again = _next_run(signature, error, reason)
        except Exception as trouble:  # no such time
            return outcomes.raised(run, self._concealed(run, trouble), "error", self._worker, _since(run))
        error = self._concealed(run, error)
        if again is not None:
            return outcomes.retried(run, error, reason, again, self._worker)
        return outcomes.raised(run, error, "error" if reason == "retry" else reason, self._worker, _since(run))

    def _concealed(self, run: Run, error: BaseException) -> BaseException:
        """The exception, fit to be stored, logged and told."""
        words = self._server.config.mask
        return concealed(error, words, secrets_of(run.signature, self._server.registry, words))

    def _run_atomically(self, run: Run, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Ending:
        if not self._server.supports_atomic:
            raise ConfigurationError("atomic=True needs a broker and a result backend in one database")
        outcome: TaskOutcome | None = None
        try:
            with transaction.atomic(using=self._server.config.database):
                outcome = self._succeeded(run, self._call(run, args, kwargs))
                (verdict,) = self._unit.commit([outcome])
                if verdict is not Verdict.COMMITTED:
                    raise _NotOurs(verdict)
        except _NotOurs as error:
            return self._not_ours(run, error.verdict)
        except (BrokerUnavailable, BackendUnavailable, OperationalError, InterfaceError):
            if outcome is None:
                raise
            # Whether it was committed is unknown. If it was, there is nothing left to release.
            return Released(run.delivery)
        return Committed(outcome)

    def _not_ours(self, run: Run, verdict: Verdict) -> Ending:
        """What the task wrote is rolled back: another run was first, or has the message now."""
        if verdict is Verdict.OVERTAKEN and (stored := self._final(run.signature)) is not None:
            return outcomes.completed(run.delivery, run.signature, stored)
        return Released(run.delivery)


class _NotOurs(Exception):
    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict


def _begin(delivery: Delivery, signature: Signature, definition: TaskDefinition) -> Run:
    now, began = datetime.now(UTC), monotonic()
    received = now - timedelta(seconds=began - delivery.claimed_at)
    return Run(delivery, signature, definition, received, now, began)


def _since(run: Run) -> float:
    return monotonic() - run.began


def _next_run(signature: Signature, error: BaseException, reason: str) -> Signature | None:
    if isinstance(error, RetryLater):
        return followups.later(signature, error.delay, error.limit)
    return followups.again(signature) if signature.retry_count > 0 and reason != "cancelled" else None


def _reason(error: BaseException) -> str:
    if isinstance(error, RetryLater):
        return "retry"
    if isinstance(error, TaskTimedOut):
        return "timeout"
    return "cancelled" if isinstance(error, TaskCancelled) else "error"
