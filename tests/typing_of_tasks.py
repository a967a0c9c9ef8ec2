"""What a type checker sees: these functions are checked, never called; an ignore that is not needed is an error."""

from typing import assert_type

from django_machinery import AsyncResult, Signature, TaskContext, task


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(queue="slow")
async def fetch(url: str) -> bytes:
    return url.encode()


@task(takes_context=True, timeout=60)
def crawl(context: TaskContext, url: str) -> list[str]:
    return [context.uuid, url]


@task(takes_context=True)
async def crawl_later(context: TaskContext, url: str) -> int:
    return context.attempt


async def the_types_of_tasks() -> None:
    assert_type(add(1, 2), int)
    assert_type(add.send(1, 2), AsyncResult[int])
    assert_type(add.send(1).get(timeout=5), int)
    assert_type(add.signature(1, y=2), Signature)
    assert_type(await add.asend(1), AsyncResult[int])
    assert_type(await fetch("a"), bytes)
    assert_type(fetch.send("a").get(), bytes)
    assert_type(crawl.send("a").get(), list[str])
    assert_type(crawl_later.send("a").get(), int)
    assert_type(add.using(queue="fast", priority=3).send(1), AsyncResult[int])


def the_calls_that_are_refused() -> None:
    add.send("a")  # type: ignore[arg-type]
    add.send(1, 2, 3)  # type: ignore[call-arg]
    add.signature(z=1)  # type: ignore[call-arg]
    crawl.send()  # type: ignore[call-arg]
    fetch.send(b"a")  # type: ignore[arg-type]
    add.using(speed=1)  # type: ignore[call-arg]
    task(speed=1)  # type: ignore[call-overload]
