"""What the tests of the worker's parts stand on: a server in memory, with a broker that pushes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import Any

from django.conf import settings
from django.db import connections
from django.dispatch import Signal
from django.test import override_settings

from django_machinery import Worker, servers
from django_machinery.drivers.eager.backend import EagerBackend
from django_machinery.drivers.eager.lock import EagerLock
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange
from django_machinery.seams.broker import Broker, Delivery
from django_machinery.seams.unit import Outcome
from django_machinery.server import Server
from django_machinery.worker.crew import Crew
from django_machinery.worker.terms import Terms
from tests.contracts.support import LEASE, config_with, unique
from tests.toys.push import PushBroker

QUEUE = "math"


class Graveyard:
    """Stands for the table of dead letters."""

    def __init__(self) -> None:
        self.buried: list[Outcome] = []

    def bury(self, server: str, outcome: Outcome) -> None:
        self.buried.append(outcome)


def toy_server(broker: type[Broker] = PushBroker, url: str = "", **changes: Any) -> Server:
    """A server of its own, with no tasks but those that the test registers; `server.graveyard` has its dead letters."""
    config = config_with(default_queue=QUEUE, **changes)
    graveyard: Any = Graveyard()
    no_outbox: Any = None  # nothing here is sent in a transaction
    server = Server(
        config,
        broker(url or unique("push://server"), config),
        EagerBackend("eager://", config),
        EagerLock("eager://", config),
        outbox=no_outbox,
        dead_letters=graveyard,
    )
    server.graveyard = graveyard  # type: ignore[attr-defined]
    return server


def send(server: Server, name: str, *values: Any, **fields: Any) -> Signature:
    """Send one task; what was sent."""
    fields = {"uuid": unique("task"), "queue": QUEUE, **fields}
    signature = Signature.of(name, *values, **fields)
    server.backend.set_states([StateChange(signature, PENDING)])
    server.broker.publish([signature])
    return signature


def state_of(server: Server, signature: Signature) -> str:
    (state,) = server.backend.get_states([signature.uuid])
    return state.state if state is not None else "unknown"


def delivery_of(signature: Signature, **fields: Any) -> Delivery:
    from django_machinery.protocol.codec import encode_signature

    return Delivery(encode_signature(signature), signature.queue, unique("handle"), "token", **fields)


@contextmanager
def working(server: Server, **terms: Any) -> Iterator[Crew]:
    """A crew at work in a thread of its own, until the end of the block."""
    terms = {"token": unique("token"), "queues": (QUEUE,), "concurrency": 2, **terms}
    crew = Crew(server, Terms(**terms))
    thread = Thread(target=crew.run)
    thread.start()
    try:
        yield crew
    finally:
        crew.stop()
        thread.join(10)
        if not crew.finished:
            crew.finish(10)
        assert not thread.is_alive()


def drain(server: Server, **terms: Any) -> Crew:
    """Let a crew run all that there is."""
    terms = {"token": unique("token"), "queues": (QUEUE,), "concurrency": 2, **terms}
    crew = Crew(server, Terms(**terms))
    crew.run(drain=True)
    assert crew.finish(10)
    return crew


@contextmanager
def heard(*signals: Signal) -> Iterator[list[dict[str, Any]]]:
    """What the signals say within the block, in order."""
    events: list[dict[str, Any]] = []

    def listen(signal: Signal, **event: Any) -> None:
        events.append({**event, "signal": signal})

    for signal in signals:
        signal.connect(listen)
    try:
        yield events
    finally:
        for signal in signals:
            signal.disconnect(listen)


class Script:
    """A function that does, call by call, what it is told: raise an exception, or return a value."""

    def __init__(self, *steps: Any, then: Callable[..., Any] | None = None) -> None:
        self.calls: list[Sequence[Any]] = []
        self._steps = list(steps)
        self._then = then

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append(arguments)
        if not self._steps:
            return self._then(*arguments, **named) if self._then is not None else None
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@contextmanager
def database_server(alias: str, **changes: Any) -> Iterator[Server]:
    """The server "default" with a short lease, on the database `alias`, for tests that commit there."""
    config = {**settings.MACHINERY[alias], "LEASE": LEASE, "SHUTDOWN_TIMEOUT": 5, **changes}
    with override_settings(MACHINERY={"default": config}):
        yield servers["default"]


@contextmanager
def running(worker: Worker) -> Iterator[Future[None]]:
    """Run it in a thread until the end of the block; what it raises is raised then."""

    def run() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(run)
        try:
            yield future
        finally:
            worker.stop()
        future.result(20)
