"""A child process as its supervisor sees it: when it is ended, and whether that is somebody's fault."""

import sys
from collections.abc import Iterator

import pytest

from django_machinery.worker.child_process import ChildProcess
from django_machinery.worker.figures import processor_time
from tests.waiting import wait_until

LEASE = 10.0
IDLE = "import time; time.sleep(60)"
BUSY = "while True: pass"
LATE = """
import os, sys, time
report = '{"token": "a", "busy": 1, "done": 0, "failed": 0, "rss": 1, "gone": false, "ends_by": 0.0}'
os.write(int(sys.argv[-1].partition("=")[2]), report.encode() + b"\\n")
time.sleep(60)
"""
"""Says that the hard timeout of a task was over long ago, and nothing more."""


@pytest.fixture
def program() -> str:
    return IDLE


@pytest.fixture
def child(program: str) -> Iterator[ChildProcess]:
    child = ChildProcess("a", [sys.executable, "-c", program], alone=False)
    yield child
    child.kill("the test ends")
    wait_until(lambda: child.ended)
    child.close()


def silent(child: ChildProcess, seconds: float) -> None:
    """As if nothing had been heard of it for that long."""
    child.ready = True
    child._beaten -= seconds
    child._heard_at -= seconds


def is_heard(child: ChildProcess) -> bool:
    child.hear()
    return child.ready


def is_killed(child: ChildProcess) -> bool:
    return child._killed


def test_one_that_stands_still_is_given_up_after_a_lease_and_ended_after_two(child: ChildProcess):
    silent(child, 0.9 * LEASE)
    assert not child.hangs(LEASE)
    silent(child, 0.2 * LEASE)
    child.enforce(LEASE)
    assert (child.hangs(LEASE), is_killed(child)) == (True, False)
    silent(child, LEASE)
    child.enforce(LEASE)
    assert (is_killed(child), child.blameless) == (True, True)


@pytest.mark.parametrize("program", [BUSY])
@pytest.mark.skipif(processor_time(1) is None, reason="needs /proc")
def test_one_that_computes_works(child: ChildProcess):
    wait_until(lambda: (processor_time(child.pid) or 0.0) > 0.5)
    silent(child, 3 * LEASE)
    child.enforce(0.1)
    assert not is_killed(child)
    assert not child.hangs(LEASE)


@pytest.mark.parametrize("program", [LATE])
def test_one_whose_task_is_over_its_hard_timeout_may_end_itself_and_then_is_ended_to_the_blame_of_the_task(
    child: ChildProcess,
):
    wait_until(lambda: is_heard(child))
    child.enforce(LEASE)
    assert not is_killed(child)
    silent(child, 4.0)
    child.excuse()
    child.enforce(LEASE)
    assert not is_killed(child)
    silent(child, 4.0)
    child.enforce(LEASE)
    assert (is_killed(child), child.blameless) == (True, False)
