"""Real processes for acceptance tests: started in the foreground, watched by their output, never left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.tether import tethered
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell that runs the tests in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Process:
    """A child that leads its own process group; leaving the `with` block kills and reaps what is left of the group.

    `environment` is added to this process's own. Standard output and error go to one file, which `output` reads.
    """

    def __init__(self, *command: str, environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        self.command = command
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close(), with the process
        self._popen = subprocess.Popen(
            tethered(command),
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @classmethod
    def python(cls, *arguments: str, environment: Mapping[str, str] | None = None) -> Self:
        """Run the interpreter of the tests with `arguments`, as in `Process.python("-m", "django", "runworker")`."""
        return cls(sys.executable, *arguments, environment=environment)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, None while the process runs, -N when signal N ended it."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """Everything written so far, by the child and by its descendants."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def wait_for_line(self, pattern: str, *, timeout: float = 20.0) -> re.Match[str]:
        """Wait for a line of the output that the regular expression `pattern` is found in.

        Raises TimeoutError, with the output, after `timeout` seconds or as soon as the process ends without the line.
        """
        expression = re.compile(pattern, re.MULTILINE)

        def found() -> re.Match[str] | None:
            ended = self.returncode is not None
            match = expression.search(self.output)
            if ended and not match:
                raise TimeoutError(f"ended with {self.returncode} and without {pattern!r} in:\n{self.output}")
            return match

        match = wait_until(found, timeout=timeout, message=lambda: f"{pattern!r} in:\n{self.output}")
        assert match is not None
        return match

    def wait(self, *, timeout: float = 20.0) -> int:
        """Wait for the end and return the exit status. Raises TimeoutError, with the output, when it runs on."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.command} still runs after {timeout} s:\n{self.output}") from None

    def signal(self, number: int) -> None:
        """Send a signal to this one process, not to its children."""
        self._popen.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of this one process, which is reaped; its children live on until `close`."""
        self._popen.kill()
        self._popen.wait()

    def close(self) -> None:
        """End the whole process group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
