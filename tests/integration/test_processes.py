"""Real processes on a broker that is not the database: what is lost when they are killed is nothing."""

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from django_machinery import AsyncResult, Chord, Group, Worker, send_chord
from django_machinery.models import Message
from django_machinery.server import Server
from tests.app.tasks import RECORD, concat, hold, recorded
from tests.integration.conftest import running
from tests.integration.matrix import pairs, settings_of
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize(
    ("database", "broker", "backend"), pairs("leasing", backend="orm"), indirect=["database"]
)

SEND = """
import os, signal, django
django.setup()
from django.db import transaction
from django_machinery import servers
from tests.app.tasks import record

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

broker = servers["default"].broker
publish = broker.publish
with transaction.atomic():
    print("sent", record.send("word").uuid)
    {last_act}
"""
"""Sends a task in a transaction, after which, or in which, the process is killed."""

Spawn = Callable[..., Process]


@pytest.fixture
def variables(server: Server, tmp_path: Path, database: str) -> Mapping[str, str]:
    """The environment of processes that share the test's server."""
    machinery = {"default": settings_of(database, "leasing", "orm", tmp_path)}
    return {
        "DJANGO_SETTINGS_MODULE": "tests.toys.settings_worker",
        "MACHINERY_TEST_SERVERS": json.dumps(machinery),
        RECORD: str(tmp_path / "record"),
    }


def send_and_die(spawn: Spawn, variables: Mapping[str, str], last_act: str) -> AsyncResult[str]:
    process = spawn("-c", SEND.format(last_act=last_act), **variables)
    assert process.wait() == -signal.SIGKILL
    return AsyncResult(process.wait_for_line(r"sent (\S+)")[1])


@pytest.mark.parametrize(
    "last_act",
    ["broker.publish = die", "broker.publish = lambda signatures: (publish(signatures), die())"],
    ids=["before the message is published", "before the outbox is told"],
)
def test_a_sender_that_dies_after_its_commit_loses_nothing(
    server: Server, spawn: Spawn, variables: Mapping[str, str], last_act: str
):
    result = send_and_die(spawn, variables, last_act)
    assert Message.objects.filter(uuid=result.uuid, status=Message.Status.OUTBOX).count() == 1
    with running(Worker(server, concurrency=1)):
        assert result.get(30) == "word"
        wait_until(lambda: not Message.objects.filter(uuid=result.uuid).exists())
        wait_until(lambda: server.broker.depth(server.config.default_queue) == 0)
    assert set(recorded()) == {"word"}


def test_a_sender_that_dies_before_its_commit_has_sent_nothing(
    server: Server, spawn: Spawn, variables: Mapping[str, str]
):
    process = spawn("-c", SEND.format(last_act="die()"), **variables)
    assert process.wait() == -signal.SIGKILL
    assert not Message.objects.exists()
    assert server.broker.depth(server.config.default_queue) == 0


def test_a_worker_that_is_killed_in_a_chord_leaves_its_task_to_another(
    server: Server, spawn: Spawn, variables: Mapping[str, str], tmp_path: Path
):
    gate = tmp_path / "gate"
    members = [hold.signature(word, str(gate)) for word in "abc"]
    result = send_chord(Chord(Group(*members), concat.partial(">")))
    killed = spawn("-m", "django", "runworker", "--concurrency", "3", "--processes", "1", **variables)
    wait_until(lambda: len(recorded()) == 3, timeout=30, message=lambda: killed.output)
    killed.close()
    heir = spawn("-m", "django", "runworker", "--concurrency", "3", "--processes", "1", **variables)
    gate.touch()
    assert result.get(60) == ">abc", heir.output
    heir.terminate()
    assert heir.wait(timeout=40) == 0, heir.output
    assert len(recorded()) == 6
