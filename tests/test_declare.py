"""`@task`: declaring, calling, sending. On the eager server, whose tasks run at send."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import override_settings

from django_machinery import (
    AsyncResult,
    AsyncTask,
    RetryLater,
    Signature,
    Task,
    TaskContext,
    TaskFailed,
    Worker,
    send_chain,
    send_group,
    send_task,
    servers,
    task,
)
from django_machinery.exceptions import ConfigurationError, EncodeError
from django_machinery.registry import TaskDefinition, tasks

EAGER = {"BROKER": "eager://", "RESULT_BACKEND": "eager://", "LOCK": "eager://"}


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    with override_settings(MACHINERY={"default": EAGER, "other": EAGER}):
        yield


@task
def add(x: int, y: int = 10) -> int:
    """Add."""
    return x + y


@task(name="declared_area", aliases=["old_area"], queue="math", retry_count=2, priority=3)
def area(width: int, height: int) -> int:
    return width * height


@task
async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@task(takes_context=True)
def describe(context: TaskContext, word: str) -> str:
    return f"{word} {context.attempt} {context.signature.name}"


@task
def price(amount: Decimal, tags: dict[str, int] | None = None) -> Decimal:
    return amount * 2


@task
def broken() -> None:
    raise ValueError("no luck")


def test_calling_a_task_just_runs_it():
    assert add(1, 2) == 3
    assert add(x=1) == 11
    assert asyncio.run(double(4)) == 8
    assert describe("hello") == f"hello 1 {__name__}.describe"


def test_a_task_looks_like_the_callable_that_it_is():
    assert isinstance(add, Task)
    assert isinstance(double, AsyncTask)
    assert (vars(add)["__name__"], add.__doc__) == ("add", "Add.")


def test_the_name_on_the_wire_is_the_dotted_path_or_what_is_declared():
    assert add.name == f"{__name__}.add"
    assert area.name == "declared_area"
    assert tasks.get("old_area") is area.definition


def test_sending_gives_the_result():
    assert add.send(1, 2).get() == 3
    assert add.send(x=1).get() == 11
    assert double.send(4).get() == 8
    assert area.send(2, 3).get() == 6
    assert describe.send("hi").get() == f"hi 1 {__name__}.describe"
    assert asyncio.run(_asend()) == 3


async def _asend() -> int:
    result = await add.asend(1, 2)
    assert await result.astate() == "SUCCESS"
    assert await result.atouch() == 3
    return await result.aget(timeout=5)


def test_arguments_that_do_not_fit_are_refused_at_send():
    with pytest.raises(TypeError):
        add.send()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        add.send(1, z=3)  # type: ignore[call-arg]
    with pytest.raises(EncodeError):
        add.send(object())  # type: ignore[arg-type]


def test_what_has_no_go_type_arrives_as_its_annotation_says():
    assert price.send(Decimal("1.10"), tags={"a": 1}).get() == "2.20"


def test_a_signature_carries_the_declaration():
    signature = area.signature(2, height=3)
    assert (signature.name, signature.queue, signature.retry_count, signature.priority) == (
        "declared_area",
        "math",
        2,
        3,
    )
    assert [arg.name for arg in signature.args or ()] == ["", "height"]
    assert signature.uuid == ""


def test_a_signature_leaves_room_for_what_a_workflow_adds():
    assert len(area.signature(4).args or ()) == 1  # type: ignore[call-arg]
    assert area.partial(4) == area.signature(4)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        area.partial(1, 2, 3)


def test_using_configures_a_copy():
    later = add.using(queue="slow", eta=timedelta(minutes=1), priority=5, retry_count=3, headers={"tenant": "a"})
    signature = later.signature(1)
    assert (signature.queue, signature.priority, signature.retry_count) == ("slow", 5, 3)
    assert signature.headers == {"tenant": "a"}
    assert timedelta(seconds=50) < signature.eta - datetime.now(UTC) <= timedelta(minutes=1)  # type: ignore[operator]
    assert add.signature(1).queue == ""
    assert later.using(queue="fast").signature(1).priority == 5


def test_using_an_option_that_there_is_not_is_refused():
    with pytest.raises(TypeError, match="speed"):
        add.using(speed=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="speed"):
        task(speed=3)  # type: ignore[call-overload]


def test_callbacks_run_after_success_and_failure():
    result = broken.using(on_error=[describe.partial()]).send()
    with pytest.raises(TaskFailed, match="no luck") as caught:
        result.get()
    assert (caught.value.uuid, caught.value.name) == (result.uuid, f"{__name__}.broken")
    assert result.is_failure
    assert result.is_completed
    assert not result.is_success


def test_a_task_is_sent_by_name_where_it_is_not_known():
    assert send_task("declared_area", args=[3, 4], server="other").get() == 12
    assert send_task("declared_area", args=[3], kwargs={"height": 5}).get() == 15
    assert send_task(Signature.of("declared_area", 2, 2), uuid="task_mine").uuid == "task_mine"
    assert AsyncResult[int]("task_mine").get() == 4


def test_a_clash_of_names_is_remembered_for_the_checks_and_the_first_keeps_the_name(monkeypatch):
    monkeypatch.setattr(tasks, "clashes", [])

    @task(name="declared_area")
    def other() -> None: ...

    assert tasks.get("declared_area") is area.definition
    assert [name for name, _, _ in tasks.clashes] == ["declared_area"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"priority": 300}, "priority should be a whole number from 0 to 255, not 300"),
        ({"priority": True}, "priority"),
        ({"retry_count": "3"}, "retry_count should be a whole number from 0, not '3'"),
        ({"retry_count": -1}, "retry_count"),
        ({"retry_timeout": 1.5}, "retry_timeout"),
        ({"timeout": 60, "hard_timeout": 30}, "hard_timeout=30 ends it before timeout=60 can"),
        ({"timeout": -1}, "timeout should be a number of seconds above 0, or None, not -1"),
        ({"timeout": "5"}, "timeout"),
        ({"hard_timeout": 0}, "hard_timeout"),
        ({"hard_timeout": float("nan")}, "hard_timeout"),
        ({"queue": 5}, "queue should be a text, not 5"),
        ({"name": 5}, "name should be a text, not 5"),
        ({"server": None}, "server"),
        ({"atomic": "yes"}, "atomic should be True or False, not 'yes'"),
        ({"immutable": 1}, "immutable"),
        ({"aliases": "abc"}, "aliases should be a list of names, not 'abc'"),
        ({"aliases": [5]}, "aliases"),
        ({"sensitive": "pin"}, "sensitive"),
    ],
)
def test_options_that_make_no_sense_are_refused_where_they_are_declared(options, told):
    with pytest.raises(ConfigurationError, match=told):
        task(**{"name": "senseless", **options})(lambda: None)
    with pytest.raises(ConfigurationError, match=told):
        TaskDefinition(**{"name": "senseless", "func": len, **options})
    assert tasks.find("senseless") is None


def test_time_limits_may_be_equal_and_need_not_be_whole():
    declared = task(name="limited", timeout=0.5, hard_timeout=0.5)(lambda: None)
    assert (declared.definition.timeout, declared.definition.hard_timeout) == (0.5, 0.5)


def test_a_task_in_place_of_a_signature_is_told_what_to_write():
    with pytest.raises(EncodeError, match=r"add.* is no signature: a task's \.signature\(\.\.\.\) or \.partial"):
        add.using(on_success=[add]).send(1)  # type: ignore[list-item]


def test_a_task_that_is_sent_by_its_name_is_refused_a_keyword_that_it_does_not_take():
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        send_task(add.name, args=[1], kwargs={"z": 2})
    assert send_task(add.name, args=[1], kwargs={"y": 2}).get() == 3
    assert send_task("declared_area", kwargs={"height": 2, "width": 3}).get() == 6


@pytest.mark.parametrize(
    ("send", "told"),
    [
        (lambda: send_task(add), "a signature or the name of a task"),  # type: ignore[arg-type]
        (lambda: send_group([add.signature(1)]), r"\[Signature.* is no signature"),  # type: ignore[arg-type]
        (lambda: send_group(add), "Task.* is no signature"),  # type: ignore[arg-type]
        (lambda: send_chain(add.send(1, 2)), "AsyncResult.* is no signature"),  # type: ignore[arg-type]
        (lambda: Worker(servers["default"], queues="math"), "a list of names, not 'math'"),
        (lambda: Worker("default"), r"servers\['default'\]"),  # type: ignore[arg-type]
        (lambda: RetryLater("later", 5), "a timedelta, not 5"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_another_kind_than_is_asked_for_is_told_in_clear_words(send, told):
    with pytest.raises(TypeError, match=told):
        send()


def test_a_chain_without_steps_is_refused():
    with pytest.raises(EncodeError, match="without steps"):
        send_chain()
