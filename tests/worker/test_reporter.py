"""What goes wrong in the reporter's rounds ends none of them: tasks can still be cancelled, and tell their progress."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_machinery import TaskContext, Worker, cancel_task, send_task
from django_machinery.models import TaskState
from django_machinery.server import Server
from django_machinery.worker.controls import Controls
from django_machinery.worker.run import Progress
from tests.databases import on_databases
from tests.waiting import wait_until
from tests.worker.support import Script, database_server, running

pytestmark = on_databases("default", "postgres")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        yield server


def heed(context: TaskContext) -> str:
    wait_until(lambda: context.cancelled, timeout=15)
    return "gave up"


BAD: Any = [Progress("half", 2, ""), Progress(2**63, 1, ""), Progress(1, 2, "\0"), Progress(1, 2, "\ud800"), "half"]  # type: ignore[arg-type]


def test_progress_that_cannot_be_stored_hinders_nobody(server: Server, database: str, caplog: pytest.LogCaptureFixture):
    go, bad = threading.Event(), iter(BAD)

    def spoil(context: TaskContext) -> None:
        context._run.progress = next(bad)
        assert go.wait(20)

    def crawl(context: TaskContext) -> None:
        context.progress(1, 3, "first")
        assert go.wait(20)

    for function in (spoil, crawl, heed):
        server.register_task(function.__name__, function, takes_context=True)
    rows = TaskState.objects.using(database)
    with running(Worker(server, concurrency=len(BAD) + 2)):
        spoiling = [send_task("spoil") for _ in BAD]
        wait_until(lambda: {spoiled.state for spoiled in spoiling} == {"STARTED"})
        crawling, heeding = send_task("crawl"), send_task("heed")
        wait_until(lambda: rows.get(uuid=crawling.uuid).progress_note == "first")
        cancel_task(heeding.uuid)
        assert heeding.get(timeout=15) == "gave up"
        go.set()
        for spoiled in spoiling:
            spoiled.get(timeout=15)
    assert caplog.text.count("Progress, cancellations or figures failed") == 1


def test_an_error_that_nobody_expected_ends_no_round(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    server.register_task("heed", heed, takes_context=True)
    refresh: Any = Script(TypeError("a fault of ours"), then=Controls.refresh)
    monkeypatch.setattr(Controls, "refresh", lambda controls: refresh(controls))
    with running(Worker(server, concurrency=1)):
        heeding = send_task("heed")
        wait_until(lambda: heeding.state == "STARTED")
        cancel_task(heeding.uuid)
        assert heeding.get(timeout=15) == "gave up"
    assert "a fault of ours" in caplog.text
