"""The executor: from a delivery to how it ended."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from django_machinery import signals
from django_machinery.exceptions import RetryLater, TaskCancelled, TaskTimedOut
from django_machinery.protocol.go_types import results_from_wire, results_to_wire
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, RETRY, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.broker import Delivery
from django_machinery.server import Server
from django_machinery.worker import TaskContext
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.errors import LONGEST
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import Parked, TaskOutcome
from django_machinery.worker.run import Run
from tests.waiting import wait_until
from tests.worker.support import delivery_of, heard, toy_server


@pytest.fixture
def server() -> Server:
    return toy_server()


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def executor(server: Server, hooks: Hooks) -> Executor:
    consumer = server.broker.consumer(("math",), (), "token")
    return Executor(server, server.unit(consumer), "me", hooks, Announcer(server, "me"), EventLoop())


class Execute:
    """Registers a function under its name and runs one invocation of it."""

    def __init__(self, server: Server, executor: Executor) -> None:
        self._server = server
        self._executor = executor
        self.runs: list[Run | None] = []

    def __call__(
        self, func: Callable[..., Any], *values: Any, task: dict[str, Any] | None = None, **fields: Any
    ) -> Any:
        self._server.register_task(func.__name__, func, **(task or {}))
        signature = Signature.of(func.__name__, *values, **{"uuid": "task_1", **fields})
        return self._executor.execute(delivery_of(signature), self.runs.append)


@pytest.fixture
def execute(server: Server, executor: Executor) -> Execute:
    return Execute(server, executor)


def fails() -> None:
    raise ValueError("no")


def never(run: Run | None) -> None:
    raise AssertionError("the task was run")


def values_of(signature: Signature) -> list[bytes]:
    return [bytes(arg.value) for arg in signature.args or ()]


def callback(name: str, **fields: Any) -> Signature:
    return Signature(name=name, uuid=f"task_{name}", **fields)


class TestSuccess:
    def test_results_and_times_are_told(self, execute: Execute):
        def divide(x: int, y: int) -> tuple[int, int]:
            return divmod(x, y)

        before = datetime.now(UTC)
        outcome = execute(divide, 7, 2)
        assert outcome.change.state == SUCCESS
        assert results_from_wire(outcome.change.results) == (3, 1)
        assert before - timedelta(days=365) < outcome.change.received_at <= outcome.change.started_at
        assert before <= outcome.change.started_at <= outcome.change.finished_at
        assert outcome.change.worker == "me"

    def test_the_results_go_to_the_success_callbacks(self, execute: Execute):
        def add(x: int, y: int) -> int:
            return x + y

        outcome = execute(add, 1, 2, on_success=[callback("log", args=())])
        (follow_up,) = outcome.follow_ups
        assert (follow_up.uuid, values_of(follow_up)) == ("task_log", [b"3"])
        assert outcome.abandoned == ()

    def test_a_task_has_a_context_that_knows_its_run(self, execute: Execute):
        def tell(context: TaskContext, x: int) -> list[str]:
            context.progress(x, 10, "well")
            return [context.uuid, str(context.attempt), context.signature.name, str(context.cancelled)]

        outcome = execute(tell, 4, task={"takes_context": True}, headers={"machinery-attempt": "3"})
        assert results_from_wire(outcome.change.results) == ["task_1", "3", "tell", "False"]
        run, nothing = execute.runs
        assert run is not None
        assert run.progress == (4, 10, "well")
        assert nothing is None

    def test_language_and_other_context_end_with_the_task(self, execute: Execute):
        def speak(language: str) -> str:
            before = translation.get_language()
            translation.activate(language)
            return f"{before} {translation.get_language()}"

        here = translation.get_language()
        assert results_from_wire(execute(speak, "de").change.results) == f"{here} de"
        assert results_from_wire(execute(speak, "fr").change.results) == f"{here} fr"
        assert translation.get_language() == here


class TestFailure:
    def test_what_the_task_raises_fails_it(self, execute: Execute):
        outcome = execute(fails, on_error=[callback("alarm")], on_success=[callback("log", on_success=[callback("x")])])
        change = outcome.change
        assert (change.state, change.error, change.reason) == (FAILURE, "no", "error")
        assert [s.name for s in outcome.follow_ups] == ["alarm"]
        assert values_of(outcome.follow_ups[0]) == [b'"no"']
        assert [s.name for s in outcome.abandoned] == ["log", "x"]
        assert (change.attempt.number, change.attempt.outcome, change.attempt.exception) == (1, "error", "ValueError")
        assert change.attempt.traceback.startswith("Traceback")
        assert "worker/executor.py" not in change.attempt.traceback
        assert "in fails" in change.attempt.traceback

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
    def test_nothing_that_a_task_raises_ends_the_worker(self, execute: Execute, kind: type[BaseException]):
        def leave() -> None:
            raise kind

        change = execute(leave).change
        assert (change.state, change.error) == (FAILURE, kind.__name__)

    def test_an_exception_that_cannot_be_told_is_told_by_its_type(self, execute: Execute):
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("never")

        def fail() -> None:
            raise Mute

        change = execute(fail).change
        assert change.error.endswith("Mute")
        assert "Mute" in change.attempt.traceback

    def test_endless_recursion_and_endless_text_are_bounded(self, execute: Execute):
        def recurse() -> None:
            recurse()

        def shout() -> None:
            raise ValueError("a" * 10 * LONGEST)

        change = execute(recurse).change
        assert "recursion" in change.error
        assert len(change.attempt.traceback) <= LONGEST + 10
        change = execute(shout).change
        assert len(change.error) <= LONGEST + 10
        assert len(change.attempt.traceback) <= LONGEST + 10

    def test_a_value_that_has_no_form_on_the_wire_fails_the_task(self, execute: Execute):
        def give() -> object:
            return object()

        change = execute(give).change
        assert (change.state, change.attempt.exception) == (FAILURE, "django_machinery.exceptions.EncodeError")

    @pytest.mark.parametrize(("values", "words"), [((1,), "'y'"), ((1, 2, 3), "takes 2"), ((1, "two"), "'y'")])
    def test_wrong_arguments_fail_at_once_and_are_named(self, execute: Execute, values: tuple[Any, ...], words: str):
        def add(x: int, y: int) -> int:
            return x + y

        outcome = execute(add, *values, retry_count=3)
        assert (outcome.change.state, outcome.retry) == (FAILURE, None)
        assert words in outcome.change.error


class TestRetries:
    def test_a_retry_is_one_fewer_and_later_and_has_the_same_uuid(self, execute: Execute):
        outcome = execute(fails, retry_count=2, retry_timeout=3)
        assert (outcome.change.state, outcome.change.attempt.outcome) == (RETRY, "error")
        again = outcome.retry
        assert (again.uuid, again.retry_count, again.retry_timeout) == ("task_1", 1, 5)
        assert timedelta(seconds=4) < again.eta - datetime.now(UTC) <= timedelta(seconds=5)
        assert outcome.follow_ups == outcome.abandoned == ()

    def test_the_last_run_fails(self, execute: Execute):
        assert execute(fails, retry_count=0).change.state == FAILURE

    def test_retry_later_uses_up_no_retry(self, execute: Execute):
        def wait() -> None:
            raise RetryLater("down", timedelta(minutes=5))

        outcome = execute(wait, retry_count=2)
        assert (outcome.change.state, outcome.change.attempt.outcome) == (RETRY, "retry")
        assert outcome.retry.retry_count == 2
        assert outcome.retry.eta - datetime.now(UTC) > timedelta(minutes=4)

    def test_retry_later_has_a_limit(self, server: Server, executor: Executor, execute: Execute):
        def wait() -> None:
            raise RetryLater("down", timedelta(), limit=1)

        first = execute(wait)
        assert first.change.state == RETRY
        second = executor.execute(delivery_of(first.retry), execute.runs.append)
        assert isinstance(second, TaskOutcome)
        assert second.change is not None
        assert (second.change.state, second.change.error, second.change.reason) == (FAILURE, "down", "error")

    def test_a_time_that_does_not_exist_fails_the_task(self, execute: Execute):
        def wait() -> None:
            raise RetryLater("never", timedelta(days=999999999))

        assert execute(wait).change.state == FAILURE
        assert execute(fails, retry_count=1, retry_timeout=2**62).change.state == FAILURE


class TestLimits:
    def test_the_soft_limit_is_raised_in_the_task(self, execute: Execute):
        def spin() -> str:
            try:
                while True:
                    time.sleep(0.001)
            except TaskTimedOut:
                return "cleaned up"

        assert results_from_wire(self.interrupted(execute, spin, TaskTimedOut).change.results) == "cleaned up"

    def test_a_task_that_does_not_heed_it_fails_with_its_limit(self, execute: Execute):
        def spin() -> None:
            while True:
                time.sleep(0.001)

        outcome = self.interrupted(execute, spin, TaskTimedOut)
        assert (outcome.change.state, outcome.change.reason) == (FAILURE, "timeout")
        assert outcome.change.error == "the task ran longer than its timeout of 60 s"
        assert outcome.change.attempt.outcome == "timeout"

    def test_a_limit_is_a_failure_that_can_be_retried(self, execute: Execute):
        def spin() -> None:
            while True:
                time.sleep(0.001)

        assert self.interrupted(execute, spin, TaskTimedOut, retry_count=1).change.state == RETRY

    def test_an_interrupt_that_comes_too_late_reaches_nobody(self, server: Server, executor: Executor):
        def quick() -> int:
            return 1

        server.register_task("quick", quick, timeout=60)
        delivery = delivery_of(Signature(name="quick", uuid="q"))
        threads: list[threading.Thread] = []

        def watch(run: Run | None) -> None:
            if run is not None:
                threads.append(threading.Thread(target=interrupt_soon, args=(run,)))
                threads[-1].start()

        for _ in range(200):
            outcome = executor.execute(delivery, watch)
            threads.pop().join()
            sum(range(200))  # instructions in which a stray exception would be raised
            assert isinstance(outcome, TaskOutcome)

    def test_an_async_task_is_interrupted_while_it_waits(self, execute: Execute):
        seen = []

        async def wait() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        outcome = self.interrupted(execute, wait, TaskTimedOut)
        assert (outcome.change.state, outcome.change.reason, seen) == (FAILURE, "timeout", ["cancelled"])

    def test_a_cancelled_async_task_is_not_retried(self, execute: Execute):
        async def wait() -> None:
            await asyncio.sleep(60)

        outcome = self.interrupted(execute, wait, TaskCancelled, retry_count=3)
        assert (outcome.change.state, outcome.change.reason) == (FAILURE, "cancelled")
        assert outcome.change.attempt.outcome == "cancel"

    def interrupted(self, execute: Execute, func: Any, kind: type[BaseException], **fields: Any) -> Any:
        """How `func` ends when it is interrupted once it runs."""

        def interrupt() -> None:
            run = wait_until(lambda: next(iter(execute.runs), None))
            assert run is not None
            interrupt = wait_until(lambda: run.interrupt)
            assert interrupt is not None
            interrupt(kind)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            return execute(func, task={"timeout": 60}, **fields)
        finally:
            thread.join()


def interrupt_soon(run: Run) -> None:
    """Sooner or later than the end of a task that ends at once."""
    deadline = time.monotonic() + 0.002
    while time.monotonic() < deadline:
        if run.interrupt is not None:
            run.interrupt(TaskTimedOut)
            return


class TestDeliveries:
    def test_bytes_that_are_no_message_are_buried(self, executor: Executor):
        outcome = executor.execute(Delivery(b"{", "math", 1, "token"), lambda _: None)
        assert isinstance(outcome, TaskOutcome)
        assert outcome.burial is not None
        assert (outcome.burial.reason, outcome.signature, outcome.change) == ("undecodable", None, None)

    def test_the_task_of_bytes_that_are_no_message_fails_where_it_is_known(self, executor: Executor):
        outcome = executor.execute(Delivery(b"{", "math", 1, "token", uuid="task_1"), lambda _: None)
        assert isinstance(outcome, TaskOutcome)
        assert outcome.change is not None
        assert (outcome.change.uuid, outcome.change.state, outcome.change.reason) == ("task_1", "FAILURE", "dead")

    def test_an_unknown_task_is_parked(self, executor: Executor):
        ending = executor.execute(delivery_of(Signature(name="later", uuid="u")), lambda _: None)
        assert isinstance(ending, Parked)

    def test_an_unknown_task_that_may_be_ignored_is_settled(self, executor: Executor):
        signature = Signature(name="later", uuid="u", ignore_when_task_not_registered=True)
        outcome = executor.execute(delivery_of(signature), lambda _: None)
        assert isinstance(outcome, TaskOutcome)
        assert (outcome.change, outcome.burial, outcome.follow_ups) == (None, None, ())

    def test_a_message_that_crashed_too_often_is_not_run(self, server: Server, executor: Executor):
        server.register_task("fails", fails)
        signature = Signature(name="fails", uuid="u", retry_count=3, on_error=(callback("alarm"),))
        outcome = executor.execute(delivery_of(signature, crashes=3, suspect=True), never)
        assert isinstance(outcome, TaskOutcome)
        assert outcome.change is not None
        assert outcome.burial is not None
        assert (outcome.change.state, outcome.change.reason, outcome.burial.reason) == (FAILURE, "crash", "poison")
        assert [s.name for s in outcome.follow_ups] == ["alarm"]
        assert outcome.change.error == "the task ended its worker process 3 times"

    @pytest.mark.parametrize("fields", [{"claim": 2}, {"suspect": True}, {"crashes": 1}])
    def test_a_redelivered_task_that_has_succeeded_is_only_completed(
        self, server: Server, executor: Executor, fields: dict[str, Any]
    ):
        server.register_task("fails", fails)
        signature = Signature(name="fails", uuid="u", on_success=(callback("log", args=()),))
        server.backend.set_states([StateChange(signature, SUCCESS, results_to_wire(5))])
        outcome = executor.execute(delivery_of(signature, **fields), never)
        assert isinstance(outcome, TaskOutcome)
        assert outcome.change is None
        assert outcome.final is not None
        assert outcome.final.is_success
        assert [(s.name, values_of(s)) for s in outcome.follow_ups] == [("log", [b"5"])]

    def test_a_redelivered_task_that_has_failed_is_only_completed(self, server: Server, executor: Executor):
        server.register_task("fails", fails)
        signature = Signature(name="fails", uuid="u", on_error=(callback("alarm"),), on_success=(callback("log"),))
        server.backend.set_states([StateChange(signature, FAILURE, error="then")])
        outcome = executor.execute(delivery_of(signature, claim=2), never)
        assert isinstance(outcome, TaskOutcome)
        assert [s.name for s in outcome.follow_ups] == ["alarm"]
        assert [s.name for s in outcome.abandoned] == ["log"]

    def test_a_redelivered_task_that_is_not_final_runs(self, server: Server, executor: Executor):
        server.register_task("fails", fails)
        signature = Signature(name="fails", uuid="u")
        server.backend.set_states([StateChange(signature, PENDING)])
        outcome = executor.execute(delivery_of(signature, claim=2), lambda _: None)
        assert isinstance(outcome, TaskOutcome)
        assert outcome.exception is not None

    def test_atomic_without_a_database_fails_the_task(self, execute: Execute):
        def add() -> int:
            return 1

        change = execute(add, task={"atomic": True}).change
        assert (change.state, "one database" in change.error) == (FAILURE, True)


class TestHooks:
    def test_handlers_are_called_around_the_task(self, execute: Execute, hooks: Hooks):
        called: list[Any] = []
        hooks.pre_task = lambda signature: called.append(("pre", signature.name))
        hooks.post_task = lambda signature: called.append(("post", signature.name))

        def run() -> None:
            called.append("run")

        execute(run)
        execute(fails)
        assert called == [("pre", "run"), "run", ("post", "run"), ("pre", "fails"), ("post", "fails")]

    def test_a_handler_that_raises_stops_nothing(
        self, execute: Execute, hooks: Hooks, caplog: pytest.LogCaptureFixture
    ):
        hooks.pre_task = lambda signature: 1 / 0

        def run() -> None:
            pass

        assert execute(run).change.state == SUCCESS
        assert "A handler of the worker raised" in caplog.text

    def test_received_and_started_are_announced_before_the_run(self, execute: Execute):
        events: list[Any] = []

        def run() -> None:
            events.append("run")

        with heard(signals.task_received, signals.task_started) as told:
            execute(run)
        assert [(event["signal"], event["worker"], event["server"]) for event in told] == [
            (signals.task_received, "me", "default"),
            (signals.task_started, "me", "default"),
        ]
