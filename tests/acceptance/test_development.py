"""What developers see: a line a task, and code that is loaded anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from django_machinery import send_task
from tests.acceptance.conftest import RunningWorker, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.processes import Process

pytestmark = on_databases("default")

TASKS = """
from django_machinery import task

@task
def answer() -> int:
    return {answer}
"""
SETTINGS = """
from tests.acceptance.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""


def test_with_debug_a_line_a_task_is_printed(start_worker: StartWorker):
    worker = start_worker("--no-reload", debug=True)
    result = tasks.add.send(1, 2)
    assert result.get(timeout=20) == 3
    worker.process.wait_for_line(rf"tests\.app\.tasks\.add {result.uuid} succeeded")
    assert worker.terminate() == 0


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The tasks of an app that a developer works on."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop_settings.py").write_text(SETTINGS)
    path = tmp_path / "shop" / "tasks.py"
    path.write_text(TASKS.format(answer=41))
    return path


@pytest.mark.usefixtures("database")
def test_changed_code_is_loaded_anew(spawn: Callable[..., Process], shop: Path):
    variables = {"DJANGO_SETTINGS_MODULE": "shop_settings", "PYTHONPATH": str(shop.parents[1])}
    worker = RunningWorker(spawn("-m", "django", "runworker", "--reload", **variables))
    worker.wait_for_ready()
    assert send_task("shop.tasks.answer").get(timeout=20) == 41
    children = worker.children()
    shop.write_text("def")
    wait_for(lambda: "SyntaxError" in worker.output, worker)
    shop.write_text(TASKS.format(answer=42))
    wait_for(lambda: worker.children() and not set(worker.children()) & set(children), worker)
    assert send_task("shop.tasks.answer").get(timeout=20) == 42, worker.output
    wait_for(lambda: worker.output.count("READY: ") == 2, worker)
    assert worker.terminate() == 0
