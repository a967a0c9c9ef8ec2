"""A real Chromium on the real admin, under a policy that allows nothing inline and nothing from elsewhere."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connection

from tests.processes import Process
from tests.services.ports import free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

collect_ignore_glob = [] if "django.contrib.admin" in settings.INSTALLED_APPS else ["test_*.py"]

INSTALL = "Chromium is not available: apt-get install chromium; pip install playwright axe-playwright-python"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SIZES: dict[str, Any] = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}

# Playwright's event loop runs in the thread of the tests, where Django would refuse its own synchronous calls.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """The browser, without the sandbox of its own that root cannot have."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(django_db_setup: None) -> Iterator[str]:
    """The address of the site, served by a process of its own."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    arguments = ("-m", "django", "runserver", "--noreload", "--insecure", "--skip-checks", address)
    with Process.python(*arguments, environment=_environment()) as server:
        server.wait_for_line("development server at")
        yield f"http://{address}"


@pytest.fixture
def open_page(chromium: "Browser", site: str) -> "Iterator[Callable[..., Page]]":
    """Open a page as an operator: `open_page("/admin/", scheme="dark")`. Errors and broken rules fail the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def start(path: str, *, size: str = "wide", scheme: Any = "light", scripts: bool = True) -> "Page":
        context = chromium.new_context(
            base_url=site,
            viewport=SIZES[size],
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        context.add_cookies([{"name": "sessionid", "value": _session(), "url": site}])
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.goto(path)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def start_worker(spawn: Callable[..., Process]) -> Callable[..., Process]:
    """Start a worker on the database of the test."""

    def start(*options: str) -> Process:
        return spawn("-m", "django", "runworker", "--concurrency", "2", *options, **_environment())

    return start


@pytest.fixture
def picture() -> "Callable[[Page, str], None]":
    """Keep a screenshot for the documentation, where MACHINERY_PICTURES names a folder for them."""
    folder = os.environ.get("MACHINERY_PICTURES")

    def keep(page: "Page", name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep


def _environment() -> dict[str, str]:
    """In which a process works on the database of the tests."""
    target = json.dumps({"NAME": str(connection.settings_dict["NAME"])})
    return {"DJANGO_SETTINGS_MODULE": "tests.settings_admin", "MACHINERY_ADMIN_DATABASE": target}


def _session() -> str:
    """The key of a session of the one operator there is."""
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(username="ada").first() or User.objects.create_superuser("ada")
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value
