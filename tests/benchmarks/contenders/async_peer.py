"""What contenders have in common that are sent to from coroutines."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from tests.benchmarks.contender import Contender


class AsyncContender(Contender):
    """Its steps run one after the other in an event loop of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._filled = 0

    def create(self) -> None:
        self.run(self.connect())

    def fill(self, count: int) -> None:
        self._filled += count
        self.run(self._send_at_once(count, self.send_measured))

    def send_singly(self, count: int) -> None:
        self.run(self._send_one_by_one(count))

    def send_in_bulk(self, count: int) -> None:
        self.run(self._send_at_once(count, self.send_other))

    def waiting(self) -> int:
        return self._filled - self.run(self.ended())

    def ended_well(self) -> int:
        return int(self.run(self.ended()))

    def round_trip(self) -> None:
        self.run(self.send_and_wait())

    def close(self) -> None:
        self.run(self.disconnect())
        self._runner.close()

    def run(self, step: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await step

        return self._runner.run(awaited())

    @abstractmethod
    async def connect(self) -> None:
        """Open the connections."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Close the connections."""

    @abstractmethod
    async def send_measured(self, number: int) -> Any:
        """Send a task to the workers."""

    @abstractmethod
    async def send_other(self, number: int) -> Any:
        """Send a task to the other queue."""

    @abstractmethod
    async def ended(self) -> int:
        """How many of the workers' tasks have a result."""

    @abstractmethod
    async def send_and_wait(self) -> None:
        """Send one task to the workers and return when its result is here."""

    async def _send_one_by_one(self, count: int) -> None:
        for number in range(count):
            await self.send_other(number)

    async def _send_at_once(self, count: int, send: Callable[[int], Awaitable[Any]]) -> None:
        for first in range(0, count, 1000):
            await asyncio.gather(*(send(number) for number in range(first, min(first + 1000, count))))
