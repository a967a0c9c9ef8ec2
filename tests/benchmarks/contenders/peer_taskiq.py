"""taskiq: what its workers run, and the steps of the benchmark."""

from typing import Any

import redis.asyncio
from taskiq_redis import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    ListQueueBroker,
    RedisAsyncResultBackend,
)

from tests.benchmarks.contenders.async_peer import AsyncContender
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

URL = Target.of_environment().host


def open_broker(queue: str) -> Any:
    return ListQueueBroker(
        URL, queue_name=queue, result_backend=RedisAsyncResultBackend(URL, result_ex_time=3600, prefix_str="result")
    )


measured, other = open_broker("measured"), open_broker("other")


@measured.task(task_name="add")  # type: ignore[untyped-decorator,unused-ignore]
async def add(x: int, y: int) -> int:
    return x + y


@other.task(task_name="add_other")  # type: ignore[untyped-decorator,unused-ignore]
async def add_other(x: int, y: int) -> int:
    return x + y


class TaskiqContender(AsyncContender):
    async def connect(self) -> None:
        await measured.startup()
        await other.startup()
        self._client = redis.asyncio.Redis.from_url(URL)

    async def disconnect(self) -> None:
        await measured.shutdown()
        await other.shutdown()
        await self._client.aclose()

    async def send_measured(self, number: int) -> Any:
        return await add.kiq(number, 1)

    async def send_other(self, number: int) -> Any:
        return await add_other.kiq(number, 1)

    async def ended(self) -> int:
        """There are no keys but the results and the queue."""
        return int(await self._client.dbsize()) - int(await self._client.exists("measured"))

    async def send_and_wait(self) -> None:
        await (await self.send_measured(1)).wait_result(check_interval=0.001, timeout=30)


if __name__ == "__main__":
    serve(TaskiqContender())
