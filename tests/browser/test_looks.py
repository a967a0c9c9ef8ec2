"""Every page at two widths, light and dark, with nothing, some and many rows: it fits, and everybody can use it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from django_machinery.models import DeadLetter, GroupMeta, TaskState, WorkerProcess
from tests.admin import samples

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)
OpenPage = Callable[..., "Page"]
PICTURES = ("dashboard", "taskstate", "failed")
"""The pages of which the documentation has a picture."""
LISTS = ("taskstate", "groupmeta", "deadletter", "queuecontrol", "workerprocess", "cancellation")


def lists() -> dict[str, str]:
    """The pages that are there without any row, by the name of their picture."""
    return {
        "dashboard": "/admin/machinery/?window=24h",
        "find": reverse("admin:machinery_taskstate_find"),
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
    raw = {"raw": reverse("admin:machinery_taskstate_raw", args=[failed.pk])}
    return {**lists(), **details, **raw}


def faults(page: "Page") -> list[str]:
    """What reaches beyond the window, and what keeps people from using the page."""
    from axe_playwright_python.sync_playwright import Axe

    beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    results = Axe().run(page, context="#content")
    found = [f"{page.url} is {beyond} pixels too wide"] if beyond > 0 else []
    return found + ([f"{page.url}\n{results.generate_report()}"] if results.violations_count else [])


@pytest.mark.parametrize(
    ("count", "size", "scheme"),
    [
        (0, "wide", "light"),
        (0, "narrow", "dark"),
        (10, "wide", "dark"),
        (10, "narrow", "light"),
        (400, "wide", "light"),
        (400, "narrow", "dark"),
    ],
)
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
