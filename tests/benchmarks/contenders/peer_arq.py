"""arq: what its workers run, and the steps of the benchmark."""

from typing import Any, ClassVar

from arq import create_pool  # type: ignore[import-not-found,import-untyped,unused-ignore]
from arq.connections import RedisSettings  # type: ignore[import-not-found,import-untyped,unused-ignore]

from tests.benchmarks.contenders.async_peer import AsyncContender
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

SETTINGS = RedisSettings.from_dsn(Target.of_environment().host)
POLL = 0.005  # seconds


async def add(context: dict[str, Any], x: int, y: int) -> int:
    return x + y


class Worker:
    """The settings of its workers, as `arq` reads them."""

    functions: ClassVar = [add]
    queue_name = "measured"
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = POLL
    keep_result = 3600


class ArqContender(AsyncContender):
    async def connect(self) -> None:
        self._pool = await create_pool(SETTINGS)

    async def disconnect(self) -> None:
        await self._pool.aclose()

    async def send_measured(self, number: int) -> Any:
        return await self._pool.enqueue_job("add", number, 1, _queue_name="measured")

    async def send_other(self, number: int) -> Any:
        return await self._pool.enqueue_job("add", number, 1, _queue_name="other")

    async def ended(self) -> int:
        """A job leaves the queue in the step that stores its result."""
        return self._filled - int(await self._pool.zcard("measured"))

    async def send_and_wait(self) -> None:
        await (await self.send_measured(1)).result(timeout=30, poll_delay=0.001)


if __name__ == "__main__":
    serve(ArqContender())
