"""The tasks of the original's program, under the same names, in Python."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django_machinery import RetryLater, TaskContext
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.go_types import Int64
from django_machinery.server import Server
from tests.protocol.golden_data import ANNOTATIONS

_runs: Counter[str] = Counter()
"""How often each UUID was run, for tasks that fail a number of times."""
_lock = threading.Lock()


def register(server: Server, *names: str) -> None:
    """Register the tasks of these names, or all, on that server alone."""
    for name, function in ALL.items():
        if not names or name in names:
            server.register_task(name, function, takes_context=function in WITH_CONTEXT)


def echo(annotation: Any) -> Callable[[Any], Any]:
    def echo(value):
        return value

    echo.__annotations__ = {"value": annotation, "return": annotation}
    return echo


def add(*numbers: Int64) -> Int64:
    return sum(numbers)


def multiply(*numbers: Int64) -> Int64:
    return math.prod(numbers)


def sum_ints(numbers: list[Int64]) -> Int64:
    return sum(numbers)


def concat(*parts: str) -> str:
    return "".join(parts)


def split(text: str, separator: str) -> tuple[str, str, bool]:
    before, found, after = text.partition(separator)
    return before, after, bool(found)


def noop() -> None:
    pass


def sleep_until(milliseconds: Int64) -> Int64:
    time.sleep(max(0.0, milliseconds / 1000 - time.time()))
    return milliseconds


def fail(*message: str) -> None:
    raise RuntimeError(" ".join(message) or "failed as asked")


def fail_times(context: TaskContext, count: Int64) -> Int64:
    run = count_run(context)
    if run <= count:
        raise RuntimeError(f"run {run} fails")
    return run


def retry_later(context: TaskContext, milliseconds: Int64, count: Int64) -> Int64:
    run = count_run(context)
    if run <= count:
        raise RetryLater(f"run {run}", timedelta(milliseconds=milliseconds))
    return run


def record_error(message: str, *rest: str) -> str:
    return message


def signature(context: TaskContext, *_: str) -> str:
    """The task's own signature, as this worker decoded it."""
    return encode_signature(context.signature).decode()


def count_run(context: TaskContext) -> int:
    with _lock:
        _runs[context.uuid] += 1
        return _runs[context.uuid]


WITH_CONTEXT = (fail_times, retry_later, signature)
PLAIN = (add, multiply, sum_ints, concat, split, noop, sleep_until, fail, record_error)
ALL: dict[str, Callable[..., Any]] = {
    **{function.__name__: function for function in (*PLAIN, *WITH_CONTEXT)},
    **{f"echo_{kind}": echo(annotation) for kind, annotation in ANNOTATIONS.items()},
}
