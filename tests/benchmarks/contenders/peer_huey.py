"""huey, which stores results and sends one task a call."""

from tests.benchmarks.contender import Contender
from tests.benchmarks.contenders.huey_queues import add, add_other, measured
from tests.benchmarks.steps import serve


class HueyContender(Contender):
    def __init__(self) -> None:
        self._filled = 0

    def create(self) -> None:
        """Opening the queues has made the tables."""

    def fill(self, count: int) -> None:
        self._filled += count
        for number in range(count):
            add(number, 1)

    def send_singly(self, count: int) -> None:
        for number in range(count):
            add_other(number, 1)

    def send_in_bulk(self, count: int) -> None:
        self.send_singly(count)

    def waiting(self) -> int:
        """What is not on the queue any more may still run, so that the stored results are counted."""
        return self._filled - self.ended_well()

    def ended_well(self) -> int:
        return int(measured.storage.result_store_size())

    def round_trip(self) -> None:
        add(1, 1).get(blocking=True, timeout=30, backoff=1.0, max_delay=0.001)


if __name__ == "__main__":
    serve(HueyContender())
