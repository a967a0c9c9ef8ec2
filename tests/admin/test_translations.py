"""Everything that the pages say of themselves can be translated; what is data stays as it is."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from django_machinery.admin.filters import REASONS
from django_machinery.models import Schedule
from django_machinery.protocol.states import STATES
from tests.admin.rows import make_rows

pytestmark = pytest.mark.django_db

DATA = re.compile(r"[A-Za-z_]+/[A-Za-z_/+0-9-]+|[a-z]+(\.[a-z_]+)+|[^A-Za-z_\s]+")
"""Names of zones, names of tasks, numbers and signs."""
NAMES = frozenset(
    {
        *STATES,
        *REASONS,
        "Machinery",
        "ada",
        "default",
        "nightly",
        "plain",
        "plain0",
        "machinery_tasks",
        "ms",
        "s",
        "UTC",
        "CET",
        "CEST",
        "GMT",
    }
    | {"p", "text"}  # p95; ["text"]
    | {"Code", "index", "Indexes", "Identifiers", "Source", "files"}  # the example project, in the navigation
)


class Texts(HTMLParser):
    """What of a page people read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "code") or ("name", "timezone") in attrs:
            self._silent = tag
        self.found += [value for name, value in attrs if name in ("aria-label", "placeholder", "title") and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent = "" if tag == self._silent else self._silent

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in which every text stands in brackets."""

    def bracketed(text: str) -> str:
        return f"⟦{text}⟧" if str(text).strip() else text

    def one_of(one: str, many: str, number: int) -> str:
        return bracketed(one if number == 1 else many)

    translation.gettext("")  # or the first use replaces what stands in for it
    used: Any = vars(translation)["_trans"]
    monkeypatch.setattr(used, "gettext", bracketed)
    monkeypatch.setattr(used, "ngettext", one_of)
    monkeypatch.setattr(used, "pgettext", lambda context, text: bracketed(text))
    monkeypatch.setattr(used, "npgettext", lambda context, *texts: one_of(*texts))


def english(page: str) -> set[str]:
    """The words that were not translated."""
    found = set()
    for text in Texts(page).found:
        before = None
        while text != before:
            before, text = text, re.sub(r"⟦[^⟦⟧]*⟧", " ", text)
        found |= set(DATA.sub(" ", text).split())
    return found - NAMES


def make_schedule(spec: str) -> Schedule:
    return Schedule.objects.create(
        server="default", name="nightly", kind="task", spec=spec, timezone="Europe/Berlin", signatures="[]"
    )


@pytest.mark.parametrize("spec", ["0 6 * * MON-FRI", "@every 90m", "*/7 9-17 1,15 JAN-MAR *", "0 0 30 2 *"])
def test_the_pages_of_schedules(spec: str, operator: Client, translated: None):
    schedule = make_schedule(spec)
    pages = [reverse("admin:machinery_schedule_changelist"), reverse("admin:machinery_schedule_add")]
    pages.append(reverse("admin:machinery_schedule_change", args=[schedule.pk]))
    for page in pages:
        assert english(operator.get(page).content.decode()) == set(), page


def test_the_faults_of_a_schedule(operator: Client, translated: None):
    form = {"name": "nightly", "server": "default", "spec": "0 6 * * *", "timezone": "Europe/Berlin", "kind": "chord",
            "missed": "one", "dst_gap": "next", "dst_overlap": "first", "run_overlap": "allow",
            "starts_at_0": "2026-02-01", "starts_at_1": "00:00", "ends_at_0": "2026-01-01", "ends_at_1": "00:00",
            "tasks_0": "", "tasks_1": "[1]"}  # fmt: skip
    page = operator.post(reverse("admin:machinery_schedule_add"), form).content.decode()
    assert "It ends before it starts" in page
    assert english(page) == set()


@pytest.mark.parametrize("address", ["taskstate/", "taskstate/find/", "", "queuecontrol/"])
def test_lists_and_the_dashboard(address: str, operator: Client, translated: None):
    make_rows("plain")
    assert english(operator.get(f"/admin/machinery/{address}").content.decode()) == set()


def test_a_translation_is_missed_where_it_is_not_there(operator: Client):
    make_rows("plain")
    assert {"queue", "worker"} <= english(
        operator.get(reverse("admin:machinery_taskstate_changelist")).content.decode()
    )
