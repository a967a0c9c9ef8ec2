"""Every way of sending, end to end, through a worker of two processes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from django_machinery import (
    AsyncResult,
    Chain,
    Chord,
    Group,
    TaskFailed,
    send_chain,
    send_chord,
    send_group,
    send_task,
)
from tests.acceptance.conftest import StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases

pytestmark = on_databases("default", "postgres")


def test_tasks(start_worker: StartWorker, database: str):
    worker = start_worker("--processes=2")

    result = tasks.add.using(server=database).send(1, 2)
    assert result.get(timeout=20) == 3
    assert (result.state, AsyncResult(result.uuid, database).state) == ("SUCCESS", "SUCCESS")
    assert send_task("tests.app.tasks.multiply", args=[3, 4], server=database).get(timeout=20) == 12
    assert tasks.greet.using(server=database).send("Ada", greeting="good day").get(timeout=20) == "good day Ada!"
    assert tasks.divide.using(server=database).send(7, 2).get(timeout=20) == (3, 1)
    assert tasks.noop.using(server=database).send().get(timeout=20) is None
    assert tasks.add_async.using(server=database).send(1, 2).get(timeout=20) == 3
    count_up = tasks.count_up.using(server=database).send(3)
    assert count_up.get(timeout=20) == count_up.uuid
    with pytest.raises(TaskFailed, match=r"^no$"):
        tasks.fail.using(server=database).send().get(timeout=20)

    async def sent_by_async_code() -> int:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        result = await tasks.add.using(server=database).asend(4, 5)
        try:
            return await result.aget(timeout=20)
        finally:
            for sensitive in (True, False):  # in the threads that sent and waited
                await sync_to_async(connections.close_all, thread_sensitive=sensitive)()

    assert asyncio.run(sent_by_async_code()) == 9
    assert worker.terminate() == 0


def test_delays_retries_and_callbacks(start_worker: StartWorker, database: str):
    worker = start_worker("--processes=2")
    delayed = tasks.add.using(eta=timedelta(seconds=0.5), server=database).send(1, 2)
    retried = tasks.fail_times.using(retry_count=2, server=database).send(1)
    later = tasks.retry_later.using(server=database).send(2)
    assert delayed.state == "PENDING"
    assert delayed.get(timeout=20) == 3
    assert retried.get(timeout=20) == 2
    assert later.get(timeout=20) == 3

    log, alarm = tasks.record_all.signature("log"), tasks.record_all.signature("alarm")
    tasks.add.using(on_success=[log], on_error=[alarm], server=database).send(1, 2)
    tasks.fail.using(on_success=[log], on_error=[alarm], server=database).send("oh")
    wait_for(lambda: sorted(tasks.recorded()) == ["log+3", "oh+alarm"], worker)
    assert worker.terminate() == 0


def test_workflows(start_worker: StartWorker, database: str):
    worker = start_worker("--processes=2")
    add = tasks.add.signature
    total = tasks.total.signature
    fail = tasks.fail.signature

    group = send_group(Group(*[add(i, i) for i in range(100)]), send_concurrency=10, server=database)
    assert group.get(timeout=30) == [2 * i for i in range(100)]
    chain = Chain(add(1, 1), tasks.multiply.partial(4))
    assert send_chain(chain, server=database).get(timeout=30) == 8
    alarm = tasks.record_all.signature("alarm")
    chord = Chord(Group(*[add(i, i) for i in range(20)]), total(), on_error=[alarm])
    assert send_chord(chord, server=database).get(timeout=30) == 380
    broken = send_chord(Chord(Group(add(1, 1), fail("broken")), total(), on_error=[alarm]), server=database)
    with pytest.raises(TaskFailed, match="broken"):
        broken.get(timeout=30)
    wait_for(lambda: tasks.recorded() == ["broken+alarm"], worker)
    assert worker.terminate() == 0
