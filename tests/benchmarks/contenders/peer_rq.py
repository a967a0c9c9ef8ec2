"""RQ: what its workers run, and the steps of the benchmark."""

import sys

import redis
from rq import Queue, SimpleWorker  # type: ignore[import-not-found,import-untyped,unused-ignore]
from rq.registry import FinishedJobRegistry  # type: ignore[import-not-found,import-untyped,unused-ignore]

from tests.benchmarks.contender import Contender
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

ADD = "tests.benchmarks.contenders.peer_rq.add"


def add(x: int, y: int) -> int:
    return x + y


class RqContender(Contender):
    def __init__(self) -> None:
        connection = redis.Redis.from_url(Target.of_environment().host)
        self._measured, self._other = Queue("measured", connection=connection), Queue("other", connection=connection)
        self._finished = FinishedJobRegistry("measured", connection=connection)
        self._filled = 0

    def create(self) -> None:
        """There is nothing to make."""

    def fill(self, count: int) -> None:
        self._filled += count
        self._send(self._measured, count)

    def send_singly(self, count: int) -> None:
        for number in range(count):
            self._other.enqueue(ADD, number, 1, result_ttl=3600)

    def send_in_bulk(self, count: int) -> None:
        self._send(self._other, count)

    def waiting(self) -> int:
        return self._filled - self.ended_well()

    def ended_well(self) -> int:
        """A job is noted as finished in the step that stores its result."""
        return int(self._finished.connection.zcard(self._finished.key))

    def round_trip(self) -> None:
        job = self._measured.enqueue(ADD, 1, 1, result_ttl=3600)
        assert job.latest_result(timeout=30) is not None

    def _send(self, queue: Queue, count: int) -> None:
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            queue.enqueue_many([Queue.prepare_data(ADD, (number, 1), result_ttl=3600) for number in numbers])


def work() -> None:
    queue = Queue("measured", connection=redis.Redis.from_url(Target.of_environment().host))
    SimpleWorker([queue], connection=queue.connection).work(logging_level="ERROR")


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work()
    else:
        serve(RqContender())
