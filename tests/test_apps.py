"""The app in INSTALLED_APPS."""

import logging
import sys

import pytest
from django.apps import apps

from django_machinery import log, signals


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Installs an app whose module `tasks` has the given text."""
    package = tmp_path / "app_with_tasks"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def install(settings, text):
        (package / "tasks.py").write_text(text)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "app_with_tasks"]

    yield install
    for name in [name for name in sys.modules if name.startswith("app_with_tasks")]:
        del sys.modules[name]


def test_the_tasks_of_every_installed_app_are_loaded(app, settings):
    app(settings, "loaded = True")
    assert sys.modules["app_with_tasks.tasks"].loaded


def test_an_error_in_an_apps_tasks_is_not_hidden(app, settings):
    with pytest.raises(ModuleNotFoundError, match="module_that_is_missing"):
        app(settings, "import module_that_is_missing")


def test_logging_is_connected():
    log.root.setLevel(logging.NOTSET)
    apps.get_app_config("machinery").ready()
    assert signals.task_failed.receivers


def test_the_app_is_called_machinery_in_tables_and_permissions():
    assert apps.get_app_config("machinery").name == "django_machinery"
