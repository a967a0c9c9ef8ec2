"""The tasks that tests send. Those that leave a trace append to the file that MACHINERY_TEST_RECORD names, so that
runs are counted across processes, and across the ones that were killed."""

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import F

from django_machinery.declare import task
from django_machinery.exceptions import RetryLater
from django_machinery.worker.context import TaskContext
from tests.app.models import Account

RECORD = "MACHINERY_TEST_RECORD"


def recorded() -> list[str]:
    """The words that `record` and others have written, in order."""
    path = Path(os.environ[RECORD])
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def recorded_pids() -> set[int]:
    """The processes that have written."""
    path = Path(os.environ[RECORD])
    return {int(line.split()[1]) for line in path.read_text().splitlines()} if path.exists() else set()


@task
def noop() -> None:
    pass


@task
def present() -> float:
    """When it runs, as `time.time()`."""
    return time.time()


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def multiply(x: int, y: int) -> int:
    return x * y


@task
def total(*numbers: int) -> int:
    return sum(numbers)


@task
def concat(*words: str) -> str:
    return "".join(words)


@task
def greet(name: str, *, greeting: str = "hello", marks: int = 1) -> str:
    return f"{greeting} {name}{'!' * marks}"


@task
def divide(x: int, y: int) -> tuple[int, int]:
    """Two results."""
    return divmod(x, y)


@task
def echo(value: Any) -> Any:
    return value


@task
async def add_async(x: int, y: int) -> int:
    await asyncio.sleep(0)
    return x + y


@task
def fail(message: str = "no") -> None:
    raise ValueError(message)


@task(takes_context=True)
def fail_times(context: TaskContext, times: int) -> int:
    """Fails in its first `times` runs, then returns the number of the run. Send it with a retry count."""
    if context.attempt <= times:
        raise ValueError(f"run {context.attempt} of {times + 1}")
    return context.attempt


@task(takes_context=True)
def retry_later(context: TaskContext, times: int, seconds: float = 0.1) -> int:
    """Asks `times` times to be run later, then returns the number of the run."""
    if context.attempt <= times:
        raise RetryLater("not yet", timedelta(seconds=seconds))
    return context.attempt


@task(takes_context=True)
def count_up(context: TaskContext, steps: int) -> str:
    """Tells its progress step by step and returns its UUID."""
    for step in range(1, steps + 1):
        context.progress(step, steps, f"step {step}")
    return context.uuid


@task
def seen_by_a_program(words: list[str]) -> list[str]:
    """Those lines of the environment of a program that a task starts that have one of `words` in them."""
    lines = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if any(word in line for word in words)]


@task
def slow(milliseconds: int) -> int:
    time.sleep(milliseconds / 1000)
    return milliseconds


@task(timeout=0.2)
def times_out() -> None:
    """Runs into its soft limit, between two instructions."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.01)


@task(hard_timeout=0.5)
def hangs() -> None:
    """Runs into its hard limit, in one instruction."""
    time.sleep(60)


@task
def computes(seconds: float) -> float:
    """Computes for about so long in one call into C, which keeps Python's lock; returns how long it was."""
    record("computes")
    return _compute(seconds)


@task(hard_timeout=0.5)
def computes_too_long() -> float:
    """Runs into its hard limit, and keeps the thread from running that looks after it."""
    return _compute(300)


@task
def stalls(times: int) -> str:
    """Keeps Python's lock and does nothing, the first `times` times that it runs."""
    record("stalls")
    if len(recorded()) <= times:
        ctypes.PyDLL(None).sleep(300)
    return "moves"


def _compute(seconds: float) -> float:
    began = time.monotonic()
    sum(range(2_000_000))
    sum(range(int(2_000_000 * seconds / (time.monotonic() - began))))
    return time.monotonic() - began


@task
def record(word: str) -> str:
    """Leaves a trace."""
    line = f"{word} {os.getpid()}\n".encode()
    descriptor = os.open(os.environ[RECORD], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    return word


@task
def record_all(*words: Any) -> int:
    """Leaves a trace of all its arguments; as a callback it shows what it was given."""
    record("+".join(map(str, words)) or "-")
    return len(words)


@task
def hold(word: str, path: str) -> str:
    """Leaves a trace, then goes on only once there is a file at `path`: a test decides what happens meanwhile."""
    record(word)
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {path}")
        time.sleep(0.01)
    return word


@task
def crash(word: str = "crash") -> None:
    """Takes its process with it."""
    record(word)
    os.kill(os.getpid(), signal.SIGKILL)


@task
def crash_once(word: str) -> str:
    """Takes its process with it in its first run."""
    again = word in recorded()
    record(word)
    if not again:
        os.kill(os.getpid(), signal.SIGKILL)
    return word


@task
def deposit(name: str, amount: int) -> int:
    """Writes without being atomic: a run that is repeated counts twice."""
    return _deposit(name, amount)


@task(atomic=True)
def deposit_once(name: str, amount: int, error: str = "") -> int:
    """Writes in the transaction of its outcome."""
    balance = _deposit(name, amount)
    if error:
        raise ValueError(error)
    return balance


@task(atomic=True)
def deposit_and_crash_once(name: str, amount: int) -> int:
    """Takes its process with it in its first run, after it has written."""
    balance = _deposit(name, amount)
    crash_once(name)
    return balance


def _deposit(name: str, amount: int) -> int:
    Account.objects.get_or_create(name=name)
    Account.objects.filter(name=name).update(balance=F("balance") + amount)
    return Account.objects.get(name=name).balance


@task(takes_context=True)
def until_cancelled(context: TaskContext) -> str:
    """Works until it is told to end, and says so."""
    record("started")
    deadline = time.monotonic() + 60
    while not context.cancelled:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody cancelled it")
        time.sleep(0.01)
    return "told"


@task
async def sleep_long() -> None:
    """Waits, and can be interrupted."""
    record("asleep")
    await asyncio.sleep(60)
