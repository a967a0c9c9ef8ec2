"""procrastinate, sent to synchronously."""

import time

import procrastinate  # type: ignore[import-not-found,import-untyped,unused-ignore]
import psycopg

from tests.benchmarks.contender import Contender
from tests.benchmarks.contenders.procrastinate_app import app
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target


class ProcrastinateContender(Contender):
    def __init__(self) -> None:
        app.open()
        self._connection = psycopg.connect(Target.of_environment().dsn, autocommit=True)

    def create(self) -> None:
        app.schema_manager.apply_schema()

    def fill(self, count: int) -> None:
        self._send_in_bulk("measured", count)

    def send_singly(self, count: int) -> None:
        task = self._task("other")
        for number in range(count):
            task.defer(x=number, y=1)

    def send_in_bulk(self, count: int) -> None:
        self._send_in_bulk("other", count)

    def waiting(self) -> int:
        return self._count("queue_name = 'measured' AND status IN ('todo', 'doing')")

    def ended_well(self) -> int:
        return self._count("queue_name = 'measured' AND status = 'succeeded'")

    def round_trip(self) -> None:
        job = self._task("measured").defer(x=1, y=1)
        while not self._count(f"id = {job} AND status = 'succeeded'"):
            time.sleep(0.0005)

    def close(self) -> None:
        app.close()

    def _send_in_bulk(self, queue: str, count: int) -> None:
        task = self._task(queue)
        for first in range(0, count, 1000):
            task.batch_defer(*({"x": number, "y": 1} for number in range(first, min(first + 1000, count))))

    def _task(self, queue: str) -> procrastinate.jobs.JobDeferrer:
        return app.configure_task("add", queue=queue)

    def _count(self, condition: str) -> int:
        row = self._connection.execute(f"SELECT count(*) FROM procrastinate_jobs WHERE {condition}".encode()).fetchone()
        return int(row[0]) if row else 0


if __name__ == "__main__":
    serve(ProcrastinateContender())
