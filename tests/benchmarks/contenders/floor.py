"""The floor: the least work that at-least-once execution with stored results asks of any queue.

Messages move in batches into a record of what is in flight; each is decoded, called, its result encoded; and outcomes
are committed in batches, each only where the message is still this worker's. There is no registry, no retry, no signal,
no workflow and no Django. No queue on this store can do with less, so that a product is measured as a part of it.
"""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from tests.benchmarks.contender import Contender
from tests.benchmarks.contenders.floor_wire import encode, execute, new_signature
from tests.benchmarks.steps import serve

# More messages at once, and more than one thread, have been tried: they gain nothing.
CLAIM = 1000  # messages
COMMIT = 1000  # outcomes, at most
IDLE = 0.005  # seconds between two claims that find nothing
NAP = 0.0005  # seconds until a thread looks again whether there is something for it


class Outcome(NamedTuple):
    """What a commit makes durable."""

    message: int
    uuid: str
    results: str


class Floor(Contender):
    """A store's two statements are the subclass's; what lies between them is the same on all stores."""

    def fill(self, count: int) -> None:
        self._send("measured", count, 1000)

    def send_singly(self, count: int) -> None:
        self._send("other", count, 1)

    def send_in_bulk(self, count: int) -> None:
        self._send("other", count, 1000)

    def round_trip(self) -> None:
        signature = new_signature(1)
        self.insert("measured", [signature.UUID], [encode(signature).decode()])
        while not self.has_result(signature.UUID):
            time.sleep(NAP)

    def _send(self, queue: str, count: int, batch: int) -> None:
        for first in range(0, count, batch):
            signatures = [new_signature(number) for number in range(first, min(first + batch, count))]
            self.insert(queue, [each.UUID for each in signatures], [encode(each).decode() for each in signatures])

    @abstractmethod
    def insert(self, queue: str, uuids: Sequence[str], bodies: Sequence[str]) -> None:
        """Make messages and their pending states durable, in one step."""

    @abstractmethod
    def has_result(self, uuid: str) -> bool:
        """Whether the task has succeeded."""


class FloorWorker(ABC):
    """One worker process of three threads: one claims, one executes, one commits."""

    def __init__(self) -> None:
        self._claimed: deque[tuple[int, str]] = deque()
        self._ended: deque[Outcome] = deque()
        self._something_ended = threading.Event()

    def run(self) -> NoReturn:
        """Work until the process is ended."""
        for loop in (self._execute_forever, self._commit_forever):
            threading.Thread(target=loop, daemon=True).start()
        while True:
            if len(self._claimed) > CLAIM // 2:
                time.sleep(NAP)
            elif claimed := self.claim(CLAIM):
                self._claimed.extend(claimed)
            else:
                time.sleep(IDLE)

    @abstractmethod
    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        """Take up to `limit` messages into this worker's name: their ids and bodies."""

    @abstractmethod
    def commit(self, outcomes: Sequence[Outcome]) -> int:
        """Remove the messages that are still this worker's and store their results; returns how many were."""

    def _execute_forever(self) -> NoReturn:
        while True:
            try:
                message, body = self._claimed.popleft()
            except IndexError:
                time.sleep(NAP)
                continue
            self._ended.append(Outcome(message, *execute(body)))
            if not self._something_ended.is_set():
                self._something_ended.set()

    def _commit_forever(self) -> NoReturn:
        while True:
            self._something_ended.wait()
            self._something_ended.clear()
            while outcomes := [self._ended.popleft() for _ in range(min(len(self._ended), COMMIT))]:
                if self.commit(outcomes) != len(outcomes):
                    raise RuntimeError("another worker has taken messages away, although all are alive")


def main(contender: type[Floor], worker: type[FloorWorker]) -> None:
    """`work`: be a worker. Otherwise do the benchmark's steps."""
    if sys.argv[1] == "work":
        worker().run()
    serve(contender())
