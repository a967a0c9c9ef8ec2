"""Celery: what its workers run, and the steps of the benchmark."""

import json
from typing import Any

import redis
from celery import Celery, group  # type: ignore[import-not-found,import-untyped,unused-ignore]

from tests.benchmarks.contender import Contender
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

URL = Target.of_environment().host

RESULTS = URL.rpartition("/")[0] + "/1"  # a database of their own, so that its size tells how many there are

app = Celery("measured", broker=URL, backend=RESULTS)
app.conf.update(
    worker_prefetch_multiplier=64, result_expires=3600, worker_hijack_root_logger=False, task_default_queue="measured"
)


@app.task(name="add")  # type: ignore[untyped-decorator,unused-ignore]
def add(x: int, y: int) -> int:
    return x + y


class CeleryContender(Contender):
    def __init__(self) -> None:
        self._results: Any = redis.Redis.from_url(RESULTS)
        self._filled = 0

    def create(self) -> None:
        """There is nothing to make."""

    def fill(self, count: int) -> None:
        self._filled += count
        self._send("measured", count)

    def send_singly(self, count: int) -> None:
        for number in range(count):
            add.apply_async((number, 1), queue="other")

    def send_in_bulk(self, count: int) -> None:
        self._send("other", count)

    def waiting(self) -> int:
        return self._filled - int(self._results.dbsize())

    def ended_well(self) -> int:
        keys = list(self._results.scan_iter("celery-task-meta-*", count=1000))
        return sum(1 for text in self._results.mget(keys) if json.loads(text)["status"] == "SUCCESS")

    def round_trip(self) -> None:
        add.delay(1, 1).get(timeout=30)

    def _send(self, queue: str, count: int) -> None:
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            group(add.s(number, 1).set(queue=queue) for number in numbers).apply_async()


if __name__ == "__main__":
    serve(CeleryContender())
