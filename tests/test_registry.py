"""The registry: names and aliases find one callable each."""

import pytest

from django_machinery.exceptions import TaskAlreadyRegistered, TaskNotRegistered
from django_machinery.registry import Registry, TaskDefinition


def add(x: int, y: int) -> int:
    return x + y


def multiply(x: int, y: int) -> int:
    return x * y


async def wait() -> None:
    pass


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register(TaskDefinition(name="add", func=add, aliases=("plus",)))
    return registry


def test_a_task_is_found_by_name_and_alias(registry):
    assert registry.get("add") is registry.get("plus")
    assert registry.names == {"add", "plus"}
    assert [definition.name for definition in registry.definitions] == ["add"]


def test_an_unknown_name_is_none_or_an_error(registry):
    assert registry.find("nothing") is None
    with pytest.raises(TaskNotRegistered, match="'nothing'"):
        registry.get("nothing")


def test_another_callable_under_a_taken_name_is_refused_whole_and_remembered(registry):
    with pytest.raises(TaskAlreadyRegistered, match=r"multiply.*'plus'.*add has that name"):
        registry.register(TaskDefinition(name="multiply", func=multiply, aliases=("plus",)))
    assert registry.find("multiply") is None
    assert registry.clashes == [("plus", f"{__name__}.add", f"{__name__}.multiply")]


def test_the_same_callable_may_come_again_as_after_a_reload(registry):
    registry.register(TaskDefinition(name="add", func=add, queue="math"))
    assert registry.get("add").queue == "math"
    assert not registry.clashes


def test_a_registry_falls_back_to_its_parent(registry):
    child = Registry(registry)
    child.register(TaskDefinition(name="multiply", func=multiply))
    assert child.get("plus").func is add
    assert child.names == {"add", "plus", "multiply"}
    assert registry.find("multiply") is None


def test_a_child_may_replace_what_its_parent_has(registry):
    child = Registry(registry)
    child.register(TaskDefinition(name="add", func=multiply))
    assert child.get("add").func is multiply
    assert registry.get("add").func is add


def test_a_definition_knows_whether_its_callable_is_async():
    assert TaskDefinition(name="wait", func=wait).is_async
    assert not TaskDefinition(name="add", func=add).is_async
