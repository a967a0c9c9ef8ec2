"""Asking for results: of what is still in the outbox, and from async code."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.backends.signals import connection_created
from django.test import TestCase, override_settings

from django_machinery import (
    AsyncResult,
    Chain,
    Chord,
    Group,
    NotCommitted,
    ResultTimeout,
    TaskFailed,
    TaskUnknown,
    send_chain,
    send_chord,
    send_group,
    servers,
)
from django_machinery.exceptions import BackendUnavailable, BrokerUnavailable
from django_machinery.models import Message
from django_machinery.seams.backend import GroupProgress
from django_machinery.server import Server
from django_machinery.testing import run_tasks
from tests import toys
from tests.app.tasks import add, fail, total
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.waiting import wait_until


@contextmanager
def machinery(broker: str, backend: str, database: str = "default") -> Iterator[Server]:
    settings = {"BROKER": broker, "RESULT_BACKEND": backend, "LOCK": "eager://", "DRIVERS": toys.DRIVERS}
    with override_settings(MACHINERY={"default": {**settings, "DATABASE": database}}):
        yield servers["default"]


def refused(*_: Any) -> Any:
    raise BackendUnavailable("gone")


@pytest.mark.django_db(transaction=True)
class TestOutbox:
    """A broker that cannot delay and a backend that takes part in no transaction."""

    @pytest.fixture
    def server(self) -> Iterator[Server]:
        with machinery(f"push://{unique('server')}", "eager://") as server:
            yield server

    @pytest.fixture
    def outage(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        """Of the backend; `undo` ends it."""
        monkeypatch.setattr(server.backend, "set_states", refused)
        return monkeypatch

    def test_what_could_not_be_published_after_the_commit_is_pending(self, server: Server, outage: pytest.MonkeyPatch):
        with transaction.atomic():
            task = add.send(1, 2)
            chain = send_chain(Chain(add.signature(1, 1), add.partial(1)))
            chord = send_chord(Chord(Group(add.signature(1, 1), add.signature(2, 2)), total.partial()))
        handles = (task, AsyncResult[int](task.uuid), *chain.results, chord.callback, *chord.group.results)
        assert {handle.state for handle in handles} == {"PENDING"}
        assert abs(datetime.now(UTC) - task.task_state.created_at) < timedelta(minutes=1)
        assert chain.progress == (0, 2)
        with pytest.raises(ResultTimeout):
            task.get(timeout=0.01)
        with pytest.raises(ResultTimeout):
            asyncio.run(closing(chord.aget(timeout=0.01)))
        with pytest.raises(TaskUnknown):
            _ = AsyncResult("task_0").state
        outage.undo()
        run_tasks()
        assert (task.get(timeout=5), chain.get(timeout=5), chord.get(timeout=5)) == (3, 3, 6)

    def test_who_waits_meanwhile_gets_the_result(self, server: Server, outage: pytest.MonkeyPatch):
        with transaction.atomic():
            sent = [add.send(1, 2), *send_group(add.signature(1, 1), add.signature(2, 2)).results]
        with ThreadPoolExecutor(len(sent)) as threads:
            waits = [threads.submit(get_and_close, result) for result in sent]
            wait_until(lambda: all(future.running() for future in waits))
            outage.undo()
            run_tasks()
            assert [future.result(10) for future in waits] == [3, 2, 4]

    def test_the_relay_announces_all_that_a_message_leads_to(self, server: Server, outage: pytest.MonkeyPatch):
        with transaction.atomic():
            chain = send_chain(Chain(add.signature(1, 1), add.partial(1)))
            chord = send_chord(Chord(Group(add.signature(1, 1), add.signature(2, 2)), total.partial()))
        outage.undo()
        Message.objects.update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
        assert server.relay_outbox() == 3
        uuids = [*[step.uuid for step in chain.results], chord.uuid]
        assert {state and state.state for state in server.backend.get_states(uuids)} == {"PENDING"}

    def test_a_delayed_send_that_is_refused_leaves_nothing_behind(self, server: Server, outage: pytest.MonkeyPatch):
        with pytest.raises(BackendUnavailable):
            add.using(eta=timedelta(hours=1)).send(1, 2)
        assert not Message.objects.exists()

    def test_a_group_of_which_some_are_delayed_is_sent_whole_or_not_at_all(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ):
        def away(*_: Any) -> None:
            raise BrokerUnavailable("gone")

        monkeypatch.setattr(server.broker, "publish", away)
        with pytest.raises(BrokerUnavailable):
            send_group(add.signature(1, 1), add.using(eta=timedelta(hours=1)).signature(2, 2))
        assert not Message.objects.exists()


def get_and_close(result: AsyncResult[Any]) -> Any:
    try:
        return result.get(timeout=20)
    finally:
        connections.close_all()


async def closing(awaited: Any) -> Any:
    """Await in a loop of its own, whose thread for synchronous code keeps no connection."""
    try:
        return await awaited
    finally:
        await sync_to_async(connections.close_all)()


class TestInsideOfATestCase(TestCase):
    """Everything is in the transaction of the test, which no other connection could see into."""

    async def test_a_result_is_awaited_while_its_task_runs(self) -> None:
        result = await add.asend(1, 2)
        assert not await result.ais_completed()
        values = await asyncio.gather(result.aget(timeout=10), sync_to_async(run_tasks)())
        assert values[0] == 3

    async def test_workflows_are_awaited_too(self) -> None:
        send = sync_to_async(lambda: (send_group(add.signature(1, 1)), send_chain(add.signature(1, 1), add.partial(1))))
        group, chain = await send()
        values = await asyncio.gather(group.aget(timeout=10), chain.aget(timeout=10), sync_to_async(run_tasks)())
        assert values[:2] == [[2], 3]

    async def test_every_look_has_an_async_twin(self) -> None:
        chord, chain = await sync_to_async(
            lambda: (
                send_chord(Chord(Group(add.signature(1, 1), fail.signature("no")), total.partial())),
                send_chain(add.signature(1, 1), add.partial(1)),
            )
        )()
        good, bad = chord.group.results
        assert (await good.astate(), await good.atouch(), await chain.aprogress()) == ("PENDING", None, (0, 2))
        await sync_to_async(run_tasks)()
        assert [await good.ais_completed(), await good.ais_success(), await good.ais_failure()] == [True, True, False]
        assert (await bad.ais_failure(), (await bad.atask_state()).error) == (True, "no")
        assert await chord.aprogress() == await chord.group.aprogress() == GroupProgress(2, 1, 2)
        assert await chord.group.ais_completed()
        assert [str(failure) for failure in await chord.afailures()] == ["no"]
        assert [failure.uuid for failure in await chord.group.afailures()] == [bad.uuid]
        assert await chain.aprogress() == (2, 2)
        for awaited in (chord.aget(timeout=1), chord.group.aget(timeout=1), bad.atouch()):
            with pytest.raises(TaskFailed, match="no"):
                await awaited

    async def test_what_does_not_end_in_time_is_told(self) -> None:
        result = await add.asend(1, 2)
        with pytest.raises(ResultTimeout):
            await result.aget(timeout=0.02)
        with pytest.raises(TaskUnknown):
            await AsyncResult[int]("task_0").aget(timeout=None)


@contextmanager
def counted_connections() -> Iterator[list[Any]]:
    """The database connections that are made within the block."""
    made: list[Any] = []

    def remember(connection: Any, **_: Any) -> None:
        made.append(connection)

    connection_created.connect(remember)
    try:
        yield made
    finally:
        connection_created.disconnect(remember)


async def await_many(results: list[AsyncResult[int]]) -> list[int]:
    """Await all at the same time; the tasks run only when all are awaited."""
    awaited = [asyncio.create_task(result.aget(timeout=30)) for result in results]
    await asyncio.sleep(0.05)
    assert not any(each.done() for each in awaited)
    await sync_to_async(run_tasks)()
    return await asyncio.gather(*awaited)


async def gathered(results: list[AsyncResult[int]]) -> list[int]:
    return await asyncio.gather(*[result.aget(timeout=30) for result in results])


@on_databases()
def test_many_that_are_awaited_at_once_share_one_connection(database: str):
    with machinery(f"orm://{database}", f"orm://{database}", database), counted_connections() as made:
        results = [add.send(number, 1) for number in range(12)]
        del made[:]
        assert asyncio.run(closing(await_many(results))) == list(range(1, 13))
        assert len(made) <= 2  # theirs, and that of the consumer which runs the tasks


@pytest.mark.django_db(transaction=True)
def test_a_backend_elsewhere_is_awaited_without_a_database_connection():
    with machinery(f"push://{unique('server')}", "eager://"), counted_connections() as made:
        connections["default"].ensure_connection()
        results = [add.send(number, 1) for number in range(12)]
        del made[:]
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(asyncio.run, gathered(results))
            run_tasks()
            assert waiting.result(20) == list(range(1, 13))
        assert made == []


@pytest.mark.django_db(transaction=True)
def test_a_result_is_refused_inside_the_transaction_of_its_send_in_async_code_too():
    async def refuse() -> None:
        result = await sync_to_async(begin)()
        try:
            for handle in (result, await sync_to_async(send_group)(add.signature(1, 1))):
                with pytest.raises(NotCommitted):
                    await handle.aget(timeout=1)
        finally:
            await sync_to_async(block.__exit__)(None, None, None)
        assert await result.ais_completed() is False

    block = transaction.atomic()

    def begin() -> AsyncResult[int]:
        block.__enter__()
        return add.send(1, 2)

    asyncio.run(closing(refuse()))


@pytest.mark.django_db(transaction=True)
def test_workflows_without_members_are_complete():
    group = send_group(Group())
    chord = send_chord(Chord(Group(), total.partial()))
    for each in (group, chord.group):
        assert (each.progress, each.is_completed, each.failures) == (GroupProgress(0, 0, 0), True, [])
    assert chord.progress == GroupProgress(0, 0, 0)
    run_tasks()
    assert (group.get(timeout=0), chord.get(timeout=5)) == ([], 0)
