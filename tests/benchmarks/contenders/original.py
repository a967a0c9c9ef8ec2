"""Go machinery: the steps of the benchmark, done by a Go program that reads them line by line."""

import json
import os
import subprocess
from typing import Any

import redis

from tests.benchmarks.contender import Contender
from tests.benchmarks.executables import VARIABLE
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

URL = Target.of_environment().host


class Original(Contender):
    def __init__(self) -> None:
        self._client: Any = redis.Redis.from_url(URL)
        command = [os.environ[VARIABLE], "steps", "-broker-url", URL, "-backend-url", URL, "-queue", "other"]
        self._program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._open: list[str] = []
        self._sent: list[str] = []

    def create(self) -> None:
        """There is nothing to make."""

    def fill(self, count: int) -> None:
        self._sent += self._do("group", count, "measured")
        self._open = list(self._sent)

    def send_singly(self, count: int) -> None:
        self._do("singly", count, "other")

    def send_in_bulk(self, count: int) -> None:
        self._do("group", count, "other")

    def waiting(self) -> int:
        """What is on the queue; a worker has popped a few more than have ended."""
        return int(self._client.llen("measured"))

    def drained(self) -> bool:
        if self.waiting():
            return False
        states = self._states(self._open)
        self._open = [uuid for uuid, state in zip(self._open, states, strict=True) if state != "SUCCESS"]
        return not self._open

    def ended_well(self) -> int:
        return sum(1 for state in self._states(self._sent) if state == "SUCCESS")

    def round_trip(self) -> None:
        self._do("trip", 1, "measured")

    def close(self) -> None:
        self._program.communicate(timeout=30)

    def _states(self, uuids: list[str]) -> list[str]:
        return [json.loads(text)["State"] for text in self._client.mget(uuids)] if uuids else []

    def _do(self, *step: object) -> Any:
        """A line of JSON for a line of words."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(" ".join(str(word) for word in step) + "\n")
        self._program.stdin.flush()
        return json.loads(self._program.stdout.readline())


if __name__ == "__main__":
    serve(Original())
