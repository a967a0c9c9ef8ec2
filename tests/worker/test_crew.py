"""The crew at work: a fetch loop, threads and a committer, on brokers that are kept in memory or in a file."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_machinery import signals
from django_machinery.exceptions import BackendUnavailable, BrokerUnavailable
from django_machinery.protocol.states import FAILURE, PENDING, STARTED, SUCCESS
from django_machinery.server import Server
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from tests.contracts.support import unique
from tests.toys.leasing import LeasingBroker
from tests.waiting import wait_until
from tests.worker.support import QUEUE, Script, drain, heard, send, state_of, toy_server, working

pytestmark = pytest.mark.django_db(transaction=True)  # a crew asks the database what operators want


class Gate:
    """A task that tells that it runs and waits until it may end."""

    def __init__(self, server: Server, name: str = "hold") -> None:
        self.running: list[str] = []
        self._open = threading.Event()
        server.register_task(name, self._hold)

    def _hold(self, word: str = "") -> str:
        self.running.append(word)
        assert self._open.wait(20)
        return word

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def server() -> Server:
    server = toy_server()
    server.register_task("add", lambda x, y: x + y)
    return server


def test_everything_that_is_sent_is_run_once(server: Server):
    ran: list[int] = []
    server.register_task("note", lambda number: ran.append(number))
    sent = [send(server, "note", number) for number in range(300)]
    crew = drain(server)
    assert sorted(ran) == list(range(300))
    assert {state_of(server, signature) for signature in sent} == {SUCCESS}
    assert (crew.done, crew.failed, crew.busy) == (300, 0, 0)


def test_what_arrives_later_is_run_at_once(server: Server):
    with working(server):
        for _ in range(5):
            signature = send(server, "add", 1, 2)
            (state,) = server.backend.wait([signature.uuid], 5)
            assert state is not None
            assert state.is_success


def test_as_many_run_at_once_as_there_are_threads(server: Server):
    gate = Gate(server)
    for number in range(5):
        send(server, "hold", str(number))
    with working(server, concurrency=3) as crew:
        wait_until(lambda: len(gate.running) == 3)
        assert crew.busy == 3
        gate.open()
        wait_until(lambda: crew.done == 5)
    assert len(gate.running) == 5


def test_with_concurrency_0_threads_grow_with_demand_up_to_a_limit():
    server = toy_server(max_threads=6)
    gate = Gate(server)
    with working(server, concurrency=0) as crew:
        for number in range(3):
            send(server, "hold", str(number))
        wait_until(lambda: len(gate.running) == 3)
        for number in range(5):
            send(server, "hold", str(number))
        wait_until(lambda: len(gate.running) == 6)
        assert crew.busy == 6
        gate.open()


def test_a_long_task_strands_nothing_that_another_process_could_run(server: Server):
    gate = Gate(server)
    for _ in range(50):
        send(server, "add", 1, 2)
    with working(server, concurrency=1) as crew:
        wait_until(lambda: crew.done == 50)  # it has seen only short tasks so far, and claims ahead
        send(server, "hold")
        others = [send(server, "add", 1, 2) for _ in range(10)]
        wait_until(lambda: gate.running)
        with working(server, concurrency=1):
            for signature in others:
                (state,) = server.backend.wait([signature.uuid], 5)
                assert state is not None
                assert state.is_success
        gate.open()


def test_an_unknown_task_waits_and_blocks_nobody(server: Server):
    unknown = send(server, "unknown")
    known = send(server, "add", 1, 2)
    with heard(signals.task_parked) as told:
        drain(server)
    assert (state_of(server, unknown), state_of(server, known)) == (PENDING, SUCCESS)
    assert {event["signature"].uuid for event in told} == {unknown.uuid}
    server.register_task("unknown", lambda: None)
    drain(server)
    assert state_of(server, unknown) == SUCCESS


def test_after_max_tasks_it_ends(server: Server):
    sent = [send(server, "add", number, 1) for number in range(10)]
    crew = drain(server, max_tasks=4)
    assert crew.has_enough
    assert sum(state_of(server, signature) == SUCCESS for signature in sent) == 4
    assert server.broker.depth(QUEUE) == 6


def test_a_task_that_takes_long_is_shown_as_started(server: Server):
    gate = Gate(server)
    signature = send(server, "hold")
    with working(server):
        wait_until(lambda: state_of(server, signature) == STARTED)
        gate.open()
        wait_until(lambda: state_of(server, signature) == SUCCESS)


def test_a_soft_limit_ends_a_task(server: Server):
    def spin() -> None:
        while True:
            time.sleep(0.01)

    server.register_task("spin", spin, timeout=0.1)
    signature = send(server, "spin")
    with heard(signals.task_failed) as told:
        drain(server)
    assert state_of(server, signature) == FAILURE
    assert [event["reason"] for event in told] == ["timeout"]


def test_async_tasks_share_one_loop_and_wait_side_by_side(server: Server):
    loops = set()
    together = threading.Barrier(2)

    async def meet() -> None:
        loops.add(asyncio.get_running_loop())
        await asyncio.to_thread(together.wait, 10)

    server.register_task("meet", meet)
    sent = [send(server, "meet") for _ in range(2)]
    drain(server, concurrency=2)
    assert [state_of(server, signature) for signature in sent] == [SUCCESS, SUCCESS]
    assert len(loops) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_a_task_that_wants_to_end_the_process_ends_alone(server: Server, kind: type[BaseException]):
    gone = threading.Event()

    def leave() -> None:
        raise kind

    async def leave_later() -> None:
        try:
            raise kind
        finally:
            gone.set()

    async def leave_async() -> None:
        await asyncio.create_task(leave_later())  # asyncio itself runs it

    async def stay() -> None:
        await asyncio.to_thread(gone.wait, 10)

    for function in (leave, leave_async, stay):
        server.register_task(function.__name__, function)
    with working(server, concurrency=2):
        staying = send(server, "stay")
        wait_until(lambda: state_of(server, staying) == STARTED)
        leaving = [send(server, "leave"), send(server, "leave_async")]
        wait_until(lambda: {state_of(server, signature) for signature in leaving} == {FAILURE})
        wait_until(lambda: state_of(server, staying) == SUCCESS)
        later = send(server, "stay")
        wait_until(lambda: state_of(server, later) == SUCCESS)


class TestEnd:
    def test_running_tasks_end_before_it_does(self, server: Server):
        gate = Gate(server)
        signature = send(server, "hold")
        with working(server, concurrency=1) as crew:
            wait_until(lambda: gate.running)
            crew.stop()
            waiting = send(server, "add", 1, 2)
            gate.open()
        assert (state_of(server, signature), state_of(server, waiting)) == (SUCCESS, PENDING)

    def test_what_does_not_end_in_time_goes_back_uncounted(self, server: Server):
        gate = Gate(server)
        signature = send(server, "hold")
        with working(server, concurrency=1) as crew:
            wait_until(lambda: gate.running)
            crew.stop()
            assert not crew.finish(0.2)
            consumer = server.broker.consumer((QUEUE,), (), "other")
            (delivery,) = consumer.fetch(1)
            assert (delivery.claim, delivery.suspect) == (1, False)
            gate.open()
        assert state_of(server, signature) != SUCCESS

    def test_abort_waits_for_nothing(self, server: Server):
        gate = Gate(server)
        send(server, "hold")
        with working(server, concurrency=1) as crew:
            wait_until(lambda: gate.running)
            started = time.monotonic()
            crew.abort()
            assert not crew.finish(60)
            assert time.monotonic() - started < 5
            gate.open()

    def test_a_hard_limit_ends_the_crew_and_blames_only_the_task(self, server: Server):
        gate = Gate(server)
        server.register_task("hang", gate._hold, hard_timeout=0.2)
        neighbour, guilty = send(server, "hold", "neighbour"), send(server, "hang", "guilty")
        with working(server, concurrency=2, enforces_hard_timeouts=True) as crew:
            wait_until(lambda: crew.overrun)
            assert not crew.finish(60)
            assert state_of(server, guilty) == FAILURE
            (state,) = server.backend.get_states([guilty.uuid])
            assert state is not None
            assert state.error == "the task ran longer than its hard timeout of 0.2 s"
            consumer = server.broker.consumer((QUEUE,), (), "other")
            (delivery,) = consumer.fetch(2)
            assert server.decode(delivery.body).uuid == neighbour.uuid
            assert (delivery.claim, delivery.suspect) == (1, False)
            gate.open()


class TestSuspects:
    """On a broker that cannot hand them out apart."""

    def test_a_suspect_runs_with_no_other_task_in_the_process(self, server: Server):
        together: list[int] = []
        running = 0

        def watch(word: str) -> None:
            nonlocal running
            running += 1
            time.sleep(0.01)
            if word == "suspect":
                together.append(running)
            running -= 1

        server.register_task("watch", watch)
        suspect = send(server, "watch", "suspect")
        self.crash(server)
        sent = [suspect, *(send(server, "watch", "plain") for _ in range(20))]
        drain(server, concurrency=4)
        assert together == [1]
        assert {state_of(server, signature) for signature in sent} == {SUCCESS}

    def test_a_process_that_does_not_become_quiet_leaves_it_to_others(self, server: Server):
        gate = Gate(server)
        send(server, "hold")
        with working(server, concurrency=2):
            wait_until(lambda: gate.running)
            suspect = send(server, "add", 1, 2)
            self.crash_if_taken(server, suspect)
            with working(server, concurrency=1):
                wait_until(lambda: state_of(server, suspect) == SUCCESS)
            gate.open()

    def crash(self, server: Server) -> None:
        """A process claims what there is, and dies."""
        consumer = server.broker.consumer((QUEUE,), (), unique("token"))
        assert consumer.fetch(100)
        consumer.cut()  # type: ignore[attr-defined]

    def crash_if_taken(self, server: Server, suspect: object) -> None:
        consumer = server.broker.consumer((QUEUE,), (), unique("token"))
        if consumer.fetch(1):
            consumer.cut()  # type: ignore[attr-defined]
        else:
            consumer.close()


class TestStores:
    def test_a_broker_that_goes_away_is_waited_for(self, server: Server, monkeypatch: pytest.MonkeyPatch):
        consumer_type = type(server.broker.consumer((QUEUE,), (), "x"))
        fetch = Script(BrokerUnavailable("gone"), BrokerUnavailable("gone"), then=consumer_type.fetch)
        monkeypatch.setattr(consumer_type, "fetch", lambda *a, **k: fetch(*a, **k))
        signature = send(server, "add", 1, 2)
        errors: list[BaseException] = []
        with heard(signals.store_unavailable, signals.store_recovered) as told:
            drain(server, hooks=Hooks(error=errors.append))
        assert state_of(server, signature) == SUCCESS
        assert [event["signal"] for event in told] == [signals.store_unavailable, signals.store_recovered]
        assert [str(error) for error in errors] == ["gone", "gone"]

    def test_a_state_that_cannot_be_looked_up_is_waited_for(self, server: Server, monkeypatch: pytest.MonkeyPatch):
        signature = send(server, "add", 1, 2)
        consumer = server.broker.consumer((QUEUE,), (), "crashing")
        assert consumer.fetch(1)
        consumer.cut()  # type: ignore[attr-defined]
        get_states = Script(*[BackendUnavailable("gone")] * 2, then=server.backend.get_states)
        monkeypatch.setattr(server.backend, "get_states", get_states)
        drain(server)
        assert len(get_states.calls) == 3
        assert state_of(server, signature) == SUCCESS

    def test_a_message_that_the_worker_itself_fails_on_is_buried(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        send(server, "add", 1, 2)
        monkeypatch.setattr(Executor, "_perform", Script(TypeError("a fault of ours")))
        drain(server)
        (outcome,) = server.graveyard.buried  # type: ignore[attr-defined]
        assert (outcome.burial.reason, outcome.burial.detail) == ("refused", "a fault of ours")
        assert "could not be worked on" in caplog.text

    def test_beats_come_while_a_broker_is_away_that_messages_go_back_to(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ):
        gate, away = Gate(server), threading.Event()
        beats: list[int] = []
        consumer_type: Any = type(server.broker.consumer((QUEUE,), (), "x"))
        release = consumer_type.release

        def refuse(*arguments: Any) -> None:
            if not away.is_set():
                away.set()
                beats.clear()
            if len(beats) < 10:
                raise BrokerUnavailable("gone")
            release(*arguments)

        monkeypatch.setattr(consumer_type, "release", refuse)
        for _ in range(50):
            send(server, "add", 1, 2)
        with working(server, concurrency=1, beat=lambda: beats.append(1)) as crew:
            wait_until(lambda: crew.done == 50)  # it has seen only short tasks so far, and claims ahead
            send(server, "hold")
            others = [send(server, "add", 1, 2) for _ in range(10)]
            wait_until(lambda: gate.running)
            wait_until(lambda: away.is_set() and len(beats) >= 10)
            gate.open()
            wait_until(lambda: all(state_of(server, signature) == SUCCESS for signature in others))

    def test_beats_come_while_a_backend_is_away_that_waits_for_the_last_outcome(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ):
        gate, finishing = Gate(server), threading.Event()
        beats: list[int] = []
        signature = send(server, "hold")
        set_states = server.backend.set_states

        def refuse(*arguments: Any, **options: Any) -> None:
            if finishing.is_set() and len(beats) < 10:
                raise BackendUnavailable("gone")
            set_states(*arguments, **options)

        monkeypatch.setattr(server.backend, "set_states", refuse)
        with working(server, beat=lambda: beats.append(1)) as crew:
            wait_until(lambda: gate.running)
            crew.stop()
            finishing.set()
            gate.open()
            wait_until(lambda: crew._committer.waiting == 0 and not crew.busy)
            beats.clear()
            assert crew.finish(20)
        assert state_of(server, signature) == SUCCESS
        assert len(beats) >= 10

    def test_nothing_is_claimed_while_the_pre_consume_handler_forbids_it(self, server: Server):
        allowed = threading.Event()
        signature = send(server, "add", 1, 2)
        with working(server, hooks=Hooks(pre_consume=Script(False, False, then=allowed.is_set))):
            assert server.broker.depth(QUEUE) == 1
            allowed.set()
            wait_until(lambda: state_of(server, signature) == SUCCESS)

    @pytest.fixture
    def leasing_server(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
        options = getattr(request, "param", "")
        server = toy_server(LeasingBroker, f"leasing://{tmp_path / 'broker.sqlite3'}{options}")
        yield server
        server.close()

    def test_message_leases_are_renewed_while_a_task_runs(self, leasing_server: Server):
        server = leasing_server
        gate = Gate(server)
        signature = send(server, "hold")
        other = server.broker.consumer((QUEUE,), (), "other")
        with working(server):
            wait_until(lambda: gate.running)
            deadline = time.monotonic() + 2 * server.config.lease
            while time.monotonic() < deadline:
                assert other.fetch(1) == []
                other.wait(0.1)
            gate.open()
            wait_until(lambda: state_of(server, signature) == SUCCESS)

    @pytest.mark.parametrize("leasing_server", ["?duplicates=2"], indirect=True)
    def test_a_message_that_was_delivered_twice_is_final_once(self, leasing_server: Server):
        server = leasing_server
        server.register_task("add", lambda x, y: x + y)
        sent = [send(server, "add", number, 1) for number in range(10)]
        with heard(signals.task_succeeded) as told:
            drain(server)
        assert {state_of(server, signature) for signature in sent} == {SUCCESS}
        assert sorted(event["signature"].uuid for event in told) == sorted(signature.uuid for signature in sent)


def test_beats_come_while_the_loop_moves(server: Server):
    beats: list[float] = []
    with working(server, beat=lambda: beats.append(time.monotonic())):
        wait_until(lambda: len(beats) > 5)
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert max(gaps) < server.config.lease * 0.5


def test_undecodable_messages_become_dead_letters(server: Server):
    publish_bytes: Callable[[str, bytes], None] = server.broker.publish_bytes  # type: ignore[attr-defined]
    publish_bytes(QUEUE, b"not a message")
    with heard(signals.message_rejected) as told:
        drain(server)
    assert [(event["reason"], event["queue"]) for event in told] == [("undecodable", QUEUE)]
    (outcome,) = server.graveyard.buried  # type: ignore[attr-defined]
    assert outcome.delivery.body == b"not a message"
    assert server.broker.depth(QUEUE) == 0
