"""The original: a program on Go's machinery, as worker, as sender, and as reader of what others wrote."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Process
from tests.services import shared

SOURCE = Path(__file__).parent / "program"
NEEDED = (1, 24)
INSTALL = f"install Go {NEEDED[0]}.{NEEDED[1]} or newer"


def missing() -> str:
    """One line that says what to install before the program can be built; "" when it can."""
    go = shutil.which("go")
    if go is None:
        return f"The original cannot be built, go not found: {INSTALL}"
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd=SOURCE).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    is_new = found is not None and tuple(map(int, found.groups())) >= NEEDED
    return "" if is_new else f"The original cannot be built with {version.strip() or 'this Go'}: {INSTALL}"


def build() -> Path:
    """The program, built once a run. Skips the test where that cannot be; fails it on CI."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    binary = shared.RUN / "interop"
    with (shared.RUN / "interop.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            subprocess.run(["go", "build", "-trimpath", "-o", str(binary), "."], cwd=SOURCE, check=True)
    return binary


@dataclass(frozen=True)
class Original:
    """The program, with the flags that lead it to the test's store and queue."""

    binary: Path
    flags: Sequence[str]

    @contextmanager
    def worker(self, *flags: str, concurrency: int = 2) -> Iterator[Process]:
        """A worker that consumes; ended in good order unless the test has ended it."""
        command = (str(self.binary), "worker", *self.flags, "-concurrency", str(concurrency), *flags)
        with Process(*command, cwd=SOURCE) as process:
            process.wait_for_line("^READY")
            yield process
            if process.returncode is None:
                process.terminate()
                assert process.wait() == 0, process.output

    def send(self, *signatures: dict[str, Any], wait: float = 20.0, **document: Any) -> list[dict[str, Any]]:
        """Send with `document` and, with `wait`, wait for the results: a line for each task, the whole first."""
        document |= {"signatures": signatures, "wait_ms": round(wait * 1000)}
        return self.send_text(json.dumps(document))

    def send_text(self, document: str) -> list[dict[str, Any]]:
        return self._lines("send", input=document)

    def states(self, *uuids: str) -> list[dict[str, Any]]:
        return self._lines("state", *uuids)

    def group(self, uuid: str, count: int) -> dict[str, Any]:
        (line,) = self._lines("group", uuid, str(count))
        return line

    def pending(self, *flags: str) -> list[dict[str, Any]]:
        return self._lines("pending", *flags)

    def _lines(self, command: str, *arguments: str, input: str = "") -> list[dict[str, Any]]:
        flags = [argument for argument in arguments if argument.startswith("-")]
        others = [argument for argument in arguments if not argument.startswith("-")]
        words = [str(self.binary), command, *self.flags, *flags, *others]
        done = subprocess.run(words, input=input, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def arg(kind: str, value: Any) -> dict[str, Any]:
    """An argument as Go programs write it."""
    return {"Type": kind, "Value": value}


def signature(name: str, *args: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A signature as Go programs write it."""
    return {"Name": name, "Args": list(args), **fields}
