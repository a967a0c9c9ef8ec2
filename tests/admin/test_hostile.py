"""Whatever a message says, it is text on every page."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

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
    answers = [client.get(page) for page in pages]
    assert {answer.status_code for answer in answers} == {200}
    return [Structure(answer.content.decode()) for answer in answers]


def make_schedule(text: str, number: int) -> None:
    Schedule.objects.create(server="default", name=f"{text}{number}"[:255], kind="task", spec=text[:255],
                            timezone=text[:64], signatures="[]", origin="model", missed="skip", dst_gap="next",
                            dst_overlap="first", run_overlap="allow", next_at=WHEN)  # fmt: skip


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
