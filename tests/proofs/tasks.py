"""The tasks of the proofs. Those that record their runs do so before anything else can happen to them."""

import os
import signal
import time
from datetime import timedelta

from django_machinery import RetryLater, TaskContext
from django_machinery.declare import task
from tests.proofs.runs import record


@task
def member(number: int) -> int:
    """Costs nothing and leaves no trace."""
    return number


@task
def count(*numbers: int) -> int:
    """A callback for `member`."""
    return len(numbers)


@task(takes_context=True)
def work(context: TaskContext, number: int, milliseconds: int) -> int:
    """Takes its time."""
    record(context.uuid, "work")
    time.sleep(milliseconds / 1000)
    return number


@task(takes_context=True)
def total(context: TaskContext, milliseconds: int, *numbers: int) -> int:
    """A callback for `work`."""
    record(context.uuid, "total")
    time.sleep(milliseconds / 1000)
    return sum(numbers)


@task(takes_context=True)
def follow(context: TaskContext, number: int) -> int:
    """What a callback triggers."""
    record(context.uuid, "follow")
    return number


@task(takes_context=True)
def hold(context: TaskContext, number: int, gate: str) -> int:
    """Goes on only once there is a file at `gate`."""
    record(context.uuid, "hold", number)
    deadline = time.monotonic() + 300
    while not os.path.exists(gate):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {gate}")
        time.sleep(0.005)
    return number


@task(takes_context=True)
def climb(context: TaskContext, gate: str) -> None:
    """Tells how far it is and where it runs, and again when its process has stood still; ends with a file at `gate`."""
    record(context.uuid, "climb")
    context.progress(1, 2, f"by {os.getpid()}")
    end = time.monotonic() + 300
    moved = time.monotonic()
    while not os.path.exists(gate):
        if time.monotonic() > end:
            raise TimeoutError(f"nobody made {gate}")
        if time.monotonic() > moved + 1.0:
            context.progress(1, 2, f"by {os.getpid()}")
        moved = time.monotonic()
        time.sleep(0.005)
    context.progress(2, 2, f"by {os.getpid()}")


@task(takes_context=True)
def stumble(context: TaskContext, mark: str) -> None:
    """Stops its process as soon as it runs, the first time, and wants to run again much later."""
    record(context.uuid, "stumble")
    if not os.path.exists(mark):
        open(mark, "x").close()
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.3)  # for what this process shows of a task that takes long
    raise RetryLater("not now", timedelta(hours=1))


@task(takes_context=True)
def die(context: TaskContext) -> None:
    """Takes its process with it, every time."""
    record(context.uuid, "die")
    os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True)
def mourn(context: TaskContext, error: str) -> str:
    """An error callback."""
    record(context.uuid, "mourn")
    return error


@task
def tell(word: str) -> str:
    """Goes by its word, which is what the sender knows of it."""
    record(word, "tell")
    return word


@task
def label(text: str, *, number: int = 1, unit: str = "") -> str:
    """Takes keyword arguments, and as little of memory and time whatever they are."""
    return f"{text}: {number} {unit}"
