"""The helpers of the acceptance tests: `Process` and `wait_until`."""

import fcntl
import signal
from pathlib import Path

import pytest

from tests.processes import Process
from tests.waiting import wait_until

CHILD = """
import fcntl, sys, time
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    time.sleep(600)
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""


def is_locked(path: Path) -> bool:
    """Whether a process lives that locked the file: a process id may be a zombie's, a lock ends with its process."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


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


def test_kill_ends_one_process_and_close_ends_its_group(tmp_path: Path):
    lock = tmp_path / "lock"
    lock.touch()
    with Process.python("-c", PARENT, CHILD, str(lock)) as process:
        process.wait_for_line("locked")
        process.kill()
        assert process.returncode == -signal.SIGKILL
        assert is_locked(lock)
    wait_until(lambda: not is_locked(lock), message="the child of the killed process lives on")


def test_wait_until_returns_the_value_and_names_what_never_came():
    values = iter([0, "", 7])
    assert wait_until(lambda: next(values)) == 7
    with pytest.raises(TimeoutError, match="a seven; the last value was 0"):
        wait_until(lambda: 0, timeout=0.05, message=lambda: "a seven")
