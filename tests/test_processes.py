"""The helpers of the acceptance tests: `Process` and `wait_until`."""

import os
import signal
import subprocess

import pytest

from tests.processes import Process
from tests.waiting import wait_until

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print("child", child.pid, flush=True)
child.wait()
"""


def ended(pid: int) -> bool:
    """Whether no such process runs; one that ended and that nobody reaped has state Z."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() in ("", "Z", "Z+", "Zs")


def test_output_exit_status_and_environment_are_the_childs():
    code = "import os, sys; print(os.environ['GREETING']); print('to stderr', file=sys.stderr); sys.exit(3)"
    with Process.python("-c", code, environment={"GREETING": "hello"}) as process:
        assert process.wait() == 3
        assert process.output == "hello\nto stderr\n"


def test_wait_for_line_returns_the_match():
    with Process.python("-c", "print('ready on 42'); input()") as process:
        assert process.wait_for_line(r"^ready on (\d+)$")[1] == "42"


def test_wait_for_line_does_not_wait_for_a_process_that_ended():
    with Process.python("-c", "print('nothing'); raise SystemExit(1)") as process:
        process.wait()
        with pytest.raises(TimeoutError, match=r"ended with 1 and without 'ready' in:\nnothing"):
            process.wait_for_line("ready", timeout=60)


def test_a_signal_ends_one_process_and_close_ends_its_group():
    with Process.python("-c", PARENT) as process:
        child = int(process.wait_for_line(r"child (\d+)")[1])
        process.kill()
        assert process.returncode == -signal.SIGKILL
        os.kill(child, 0)
    wait_until(lambda: ended(child), message="the child of the killed process lives on")


def test_wait_until_returns_the_value_and_names_what_never_came():
    values = iter([0, "", 7])
    assert wait_until(lambda: next(values)) == 7
    with pytest.raises(TimeoutError, match="a seven; the last value was 0"):
        wait_until(lambda: 0, timeout=0.05, message=lambda: "a seven")
