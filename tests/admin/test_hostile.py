"""Whatever a message says, it is text on every page."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse
from msgspec import Raw

from django_machinery import Signature, servers
from django_machinery.admin import audit
from django_machinery.models import (
    Attempt,
    Cancellation,
    DeadLetter,
    GroupMeta,
    Message,
    QueueControl,
    Schedule,
    TaskState,
    WorkerProcess,
)
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Arg
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS, TaskResult
from django_machinery.seams.backend import StateChange
from tests.admin.hostile import STRINGS, TEXTS
from tests.admin.rows import WHEN, make_rows
from tests.admin.structure import Structure

pytestmark = pytest.mark.django_db

LISTS = ("taskstate", "groupmeta", "deadletter", "workerprocess", "cancellation", "queuecontrol")
DETAILS = ("taskstate", "groupmeta", "deadletter", "workerprocess", "cancellation")
ROUND = 24
"""Strings that are on the lists at once."""


def list_pages() -> Iterator[str]:
    """Every page that shows many rows."""
    yield from (reverse(f"admin:machinery_{model}_changelist") for model in LISTS)
    yield reverse("admin:app_list", args=["machinery"])
    yield reverse("admin:machinery_taskstate_dashboard")


def detail_pages(rows: dict[str, Any]) -> Iterator[str]:
    """Every page of one row."""
    for model in DETAILS:
        yield reverse(f"admin:machinery_{model}_change", args=[rows[model].pk])
    for model in ("taskstate", "deadletter"):
        yield reverse(f"admin:machinery_{model}_raw", args=[rows[model].pk])


def structures(client: Client, pages: Iterator[str]) -> list[Structure]:
    return shapes(client.get(page) for page in pages)


def shapes(answers: Iterable[Any]) -> list[Structure]:
    answers = list(answers)
    assert {answer.status_code for answer in answers} == {200}
    return [Structure(answer.content.decode()) for answer in answers]


def answers_to_acts(client: Client, rows: dict[str, Any], text: str) -> Iterator[Any]:
    """What is asked before an act, what is said after it, and what is remembered of it."""
    for model in ("taskstate", "deadletter"):
        form = {"action": "remove", "_selected_action": rows[model].pk}
        yield client.post(reverse(f"admin:machinery_{model}_changelist"), form)
    queue = reverse("admin:machinery_queuecontrol_act")
    yield client.post(queue, {"deed": "purge", "server": "default", "queue": text[:255]})
    yield client.post(queue, {"deed": "pause", "server": "default", "queue": text[:255]}, follow=True)
    user, task = User.objects.get(), rows["taskstate"]
    audit.record(user, TaskState, text, [(task.pk, text)])
    yield client.get(reverse("admin:machinery_taskstate_history", args=[task.pk]))
    yield client.get(reverse("admin:index"))


def answers_elsewhere(client: Client, text: str) -> Iterator[Any]:
    """The list of another store, the pages of its tasks, and what is asked before an act."""
    backend = servers["elsewhere"].backend
    find, act = (reverse(f"admin:machinery_taskstate_{page}") for page in ("find", "act"))
    results = (TaskResult(text, Raw(json.dumps(text).encode())),)
    for ending in ({"state": FAILURE, "error": text}, {"state": SUCCESS, "results": results}):
        uuid = f"{text[:200]}{ending['state']}"
        signature = Signature(name=text, uuid=uuid, queue=text, args=(Arg.of(text, name=text),))
        backend.set_states([StateChange(signature, PENDING)])
        backend.set_states([StateChange(signature, **ending)])
        Attempt.objects.create(
            uuid=uuid, number=1, name=text[:255], worker=text[:255], outcome=text[:16], exception=text[:255],
            error=text, traceback=text, ended_at=WHEN,
        )  # fmt: skip
        yield client.get(find, {"uuid": uuid})
        yield client.post(act, {"action": "remove", "server": "elsewhere", "uuid": uuid})
    yield client.get(find, {"server": "elsewhere", "name": text, "state": FAILURE})
    backend.purge([f"{text[:200]}{state}" for state in (FAILURE, SUCCESS)])


def make_schedule(text: str, number: int) -> Schedule:
    signature = encode_signature(Signature(name=text, args=(Arg.of(text, name=text), Arg.of({text: text})))).decode()
    return Schedule.objects.create(
        server="default", name=f"{text}{number}"[:190], kind="task", spec=text[:255], timezone=text[:64],
        signatures=f"[{signature}]", origin="model", missed="skip", dst_gap="next", dst_overlap="first",
        run_overlap="allow", next_at=WHEN,
    )  # fmt: skip


def assert_same_shape(hostile: Structure, harmless: Structure, text: str) -> None:
    assert hostile.elements <= harmless.elements, text
    assert not hostile.foreign_links, text
    for tag in ("script", "style", "img", "iframe", "base", "meta", "link"):
        assert hostile.counts.get(tag) == harmless.counts.get(tag), (tag, text)


def test_there_are_500_different_texts():
    assert len(set(STRINGS)) == 500


@pytest.mark.parametrize("part", range(10))
def test_no_text_becomes_part_of_a_page_of_one_row(part: int, operator: Client):
    harmless = structures(operator, detail_pages(make_rows("harm\nless")))
    for number, text in enumerate(TEXTS[part::10], start=1):
        rows = make_rows(text, number=number)
        for page, expected in zip(structures(operator, detail_pages(rows)), harmless, strict=True):
            assert_same_shape(page, expected, text)


@pytest.mark.parametrize("part", range(10))
def test_no_text_becomes_part_of_what_is_asked_said_or_remembered(part: int, operator: Client):
    harmless: list[Structure] = []
    for number, text in enumerate(("harm\nless", *TEXTS[part::10])):
        LogEntry.objects.all().delete()
        QueueControl.objects.all().delete()
        found = shapes(answers_to_acts(operator, make_rows(text, number=number), text))
        harmless = harmless or found
        for page, expected in zip(found, harmless, strict=True):
            assert_same_shape(page, expected, text)


def test_no_text_becomes_part_of_the_pages_of_other_stores(operator: Client):
    eager = dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), "eager://")
    harmless: list[Structure] = []
    with override_settings(MACHINERY={**settings.MACHINERY, "elsewhere": eager}):
        for text in ("harm\nless", *TEXTS):
            found = shapes(answers_elsewhere(operator, text))
            harmless = harmless or found
            for page, expected in zip(found, harmless, strict=True):
                assert_same_shape(page, expected, text)


def test_no_text_becomes_part_of_a_list(operator: Client):
    tables = (Attempt, Cancellation, DeadLetter, GroupMeta, Message, QueueControl, TaskState, WorkerProcess, Schedule)
    harmless: list[Structure] = []
    for start in range(-ROUND, len(TEXTS), ROUND):
        texts = TEXTS[start : start + ROUND] if start >= 0 else tuple(f"harmless{index}" for index in range(ROUND))
        for model in tables:
            model.objects.all().delete()
        for number, text in enumerate(texts):
            make_rows(text, number=number)
            make_schedule(text, number)
        found = structures(operator, list_pages())
        harmless = harmless or found
        for page, expected in zip(found, harmless, strict=True):
            assert_same_shape(page, expected, str(texts))


def test_no_text_becomes_part_of_the_pages_of_a_schedule(operator: Client):
    harmless: list[Structure] = []
    for text in ("harmless", *TEXTS):
        Schedule.objects.all().delete()
        make_schedule(text, 1)
        change = reverse("admin:machinery_schedule_change", args=[Schedule.objects.get().pk])
        found = structures(operator, iter([reverse("admin:machinery_schedule_changelist"), change]))
        harmless = harmless or found
        for page, expected in zip(found, harmless, strict=True):
            assert_same_shape(page, expected, text)


def test_no_text_becomes_part_of_what_a_form_refuses(operator: Client):
    harmless: list[Structure] = []
    for text in ("harmless", *TEXTS[::10]):
        form = {"name": text[:190], "server": "default", "spec": text, "kind": "task", "tasks_0": text, "tasks_1": text}
        found = shapes([operator.post(reverse("admin:machinery_schedule_add"), form)])
        harmless = harmless or found
        assert_same_shape(found[0], harmless[0], text)


def test_no_text_of_an_address_becomes_part_of_a_page(operator: Client):
    make_rows("harmless")
    tasks = reverse("admin:machinery_taskstate_changelist")
    find = reverse("admin:machinery_taskstate_find")
    harmless = [Structure(operator.get(tasks, {"q": "nothing", "name": "nothing"}).content.decode()),
                Structure(operator.get(find, {"uuid": "nothing"}).content.decode())]  # fmt: skip
    for text in STRINGS[::10]:
        answers = (operator.get(tasks, {"q": text, "name": text}), operator.get(find, {"uuid": text}))
        for answer, expected in zip(answers, harmless, strict=True):
            assert_same_shape(Structure(answer.content.decode()), expected, text)
