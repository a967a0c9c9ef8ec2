"""Every page at two widths, light and dark, with nothing, some and many rows: it fits, and everybody can use it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from django_machinery.models import DeadLetter, GroupMeta, Schedule, TaskState, WorkerProcess
from tests.admin import samples

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)
OpenPage = Callable[..., "Page"]
PICTURES = ("dashboard", "taskstate", "failed")
"""The pages of which the documentation has a picture."""
LISTS = ("taskstate", "groupmeta", "deadletter", "queuecontrol", "workerprocess", "cancellation", "schedule")


TOO_WIDE = """
[...document.querySelectorAll('html, .results, .mq-scroll, .mq-panel, #result_list td')]
.filter(each => each.scrollWidth > each.clientWidth + 1)
.map(each => [each.tagName, each.className, each.scrollWidth, each.clientWidth, each.innerText.slice(0, 40)].join(" "))
"""
"""What is wider than its place, and so is cut or has to be pushed to be read."""


def lists() -> dict[str, str]:
    """The pages that are there without any row, by the name of their picture."""
    return {
        "dashboard": "/admin/machinery/?window=24h",
        "find": reverse("admin:machinery_taskstate_find"),
        "new schedule": reverse("admin:machinery_schedule_add"),
        **{model: reverse(f"admin:machinery_{model}_changelist") for model in LISTS},
    }


def pages() -> dict[str, str]:
    """All pages, with rows to show."""
    failed = TaskState.objects.filter(state="FAILURE").latest("id")
    rows = {"group": GroupMeta.objects.latest("id"), "letter": DeadLetter.objects.latest("id")}
    rows |= {"worker": WorkerProcess.objects.earliest("id"), "failed": failed}
    details = {
        name: reverse(f"admin:machinery_{row._meta.model_name}_change", args=[row.pk]) for name, row in rows.items()
    }
    kinds = {"a schedule": Schedule.Origin.MODEL, "a schedule of the code": Schedule.Origin.CODE}
    for name, origin in kinds.items():
        details[name] = reverse("admin:machinery_schedule_change", args=[Schedule.objects.filter(origin=origin)[0].pk])
    others = {
        "raw": reverse("admin:machinery_taskstate_raw", args=[failed.pk]),
        "raw letter": reverse("admin:machinery_deadletter_raw", args=[rows["letter"].pk]),
        "history": reverse("admin:machinery_taskstate_history", args=[failed.pk]),
        "failed ones": reverse("admin:machinery_taskstate_changelist") + "?state=FAILURE",
        "nothing found": reverse("admin:machinery_taskstate_changelist") + "?q=name:nobody",
    }
    return {**lists(), **details, **others}


def faults(page: "Page") -> list[str]:
    """What reaches beyond the window, and what keeps people from using the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = [f"{page.url}: {wide}" for wide in page.evaluate(TOO_WIDE)]
    results = Axe().run(page, context="#content")
    return found + ([f"{page.url}\n{results.generate_report()}"] if results.violations_count else [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("count", [0, 10, 400])
def test_every_page_fits_and_is_accessible(
    count: int, size: str, scheme: str, open_page: OpenPage, picture: Callable[["Page", str], None]
):
    if count:
        samples.fill(count)
    page, found = open_page("/admin/", size=size, scheme=scheme), list[str]()
    for name, path in (pages() if count else lists()).items():
        page.goto(path)
        found += faults(page)
        if (count, size, scheme, name in PICTURES) == (400, "wide", "light", True):
            picture(page, f"admin-{name}")
    assert not found, "\n".join(found)
