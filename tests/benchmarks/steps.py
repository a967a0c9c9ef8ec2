"""What a contender is made to do, in a process of its own: `serve` is the end of the line that `remote` holds."""

import random
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Listener
from typing import Any

from tests.benchmarks.contender import Contender
from tests.benchmarks.usage import cpu_seconds

WARM_UP = 20
HEAD = 0.1  # the part of a drain that passes before the clock runs: workers start in it


def serve(contender: Contender) -> None:
    """Do the steps that the benchmark asks for over the socket named on the command line, until it hangs up.

    A step is one of TIMED, or else a method of the contender.
    """
    with Listener(sys.argv[1], "AF_UNIX") as listener, listener.accept() as connection:
        while True:
            try:
                step, *arguments = connection.recv()
            except EOFError:
                return contender.close()
            timed = TIMED.get(step)
            connection.send(timed(contender, *arguments) if timed else getattr(contender, step)(*arguments))


def send_singly(contender: Contender, count: int) -> float:
    """Tasks a second."""
    contender.send_singly(WARM_UP)
    return count / _seconds(lambda: contender.send_singly(count))


def send_in_bulk(contender: Contender, count: int) -> float:
    """Tasks a second."""
    contender.send_in_bulk(WARM_UP)
    return count / _seconds(lambda: contender.send_in_bulk(count))


def drain(
    contender: Contender, count: int, limit: float, *groups: tuple[int, ...]
) -> tuple[int, float, list[float | None]]:
    """Watch the workers end `count` tasks: how many were timed, the seconds, and each process group's CPU seconds.

    The clock runs from the first look that finds a tenth done to the first that finds nothing waiting. A look costs
    the workers time, so that the pauses between looks grow with what has passed.
    """
    deadline = time.monotonic() + limit
    most = count * (1 - HEAD)
    _until(lambda: contender.waiting() <= most, deadline)
    timed, started, before = contender.waiting(), time.monotonic(), [cpu_seconds(*pids) for pids in groups]
    _until(contender.drained, deadline)
    elapsed, after = time.monotonic() - started, [cpu_seconds(*pids) for pids in groups]
    spent = [None if x is None or y is None else y - x for x, y in zip(before, after, strict=True)]
    return timed, elapsed, spent


def round_trips(contender: Contender, count: int, gap: float) -> list[float]:
    """Seconds from each of `count` sends to its result, with idle gaps of about `gap` seconds before each."""
    chance = random.Random(count)  # so that no poll of a worker falls into step with the sends
    for _ in range(3):
        contender.round_trip()
    seconds = []
    for _ in range(count):
        time.sleep(gap * chance.uniform(0.5, 1.5))
        seconds.append(_seconds(contender.round_trip))
    return seconds


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _until(condition: Callable[[], bool], deadline: float) -> None:
    """Return as soon as it holds. Raises TimeoutError at the deadline."""
    started = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError("the workers have not ended their tasks")
        time.sleep(min(0.5, 0.01 + (now - started) / 50))


TIMED: dict[str, Callable[..., Any]] = {step.__name__: step for step in (send_singly, send_in_bulk, drain, round_trips)}
