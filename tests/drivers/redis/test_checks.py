"""What `manage.py check` says about priorities on Redis, without connecting to it."""

from collections.abc import Callable

import pytest
from django.test import override_settings

from django_machinery import checks, registry
from django_machinery.registry import Registry, TaskDefinition

URL = "redis://localhost:1/0"


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declares tasks, of which there are no others."""
    monkeypatch.setattr(registry, "tasks", Registry())

    def declare(name: str, **options: object) -> None:
        registry.tasks.register(TaskDefinition(name=name, func=lambda: None, **options))  # type: ignore[arg-type]

    return declare


def said(**settings: object) -> list[tuple[str | None, str]]:
    server = {"BROKER": URL, "RESULT_BACKEND": URL, "LOCK": URL, **settings}
    with override_settings(MACHINERY={"default": server}):
        return [(message.id, f"{message.msg} {message.hint}") for message in checks.check_servers()]


def test_priorities_are_warned_of_because_go_does_not_see_them(declare: Callable[..., None]):
    declare("urgent", priority=5)
    ((identity, text),) = said(REDIS_PRIORITIES=True)
    assert identity == "machinery.W201"
    assert "no Go worker" in text


def test_tasks_whose_priority_is_ignored_are_named(declare: Callable[..., None]):
    declare("urgent", priority=5)
    declare("ordinary")
    declare("elsewhere", priority=5, server="other")
    ((identity, text),) = said()
    assert identity == "machinery.W202"
    assert "urgent" in text
    assert "ordinary" not in text
    assert "elsewhere" not in text


def test_without_priorities_there_is_nothing_to_say(declare: Callable[..., None]):
    declare("ordinary")
    assert said() == []
