"""Dramatiq: what its workers run, and the steps of the benchmark."""

import dramatiq  # type: ignore[import-not-found,import-untyped,unused-ignore]
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found,import-untyped,unused-ignore]
from dramatiq.results import Results  # type: ignore[import-not-found,import-untyped,unused-ignore]
from dramatiq.results.backends import RedisBackend  # type: ignore[import-not-found,import-untyped,unused-ignore]

from tests.benchmarks.contender import Contender
from tests.benchmarks.steps import serve
from tests.benchmarks.target import Target

URL = Target.of_environment().host

broker = RedisBroker(url=URL)
results = RedisBackend(url=URL, use_namespace_prefix_keys=True)
# Prometheus' figures would have a process and files of their own.
for middleware in [each for each in broker.middleware if type(each).__name__ == "Prometheus"]:
    broker.middleware.remove(middleware)
broker.add_middleware(Results(backend=results, store_results=True, result_ttl=3_600_000))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="add", queue_name="measured")  # type: ignore[untyped-decorator,unused-ignore]
def add(x: int, y: int) -> int:
    return x + y


@dramatiq.actor(actor_name="add_other", queue_name="other")  # type: ignore[untyped-decorator,unused-ignore]
def add_other(x: int, y: int) -> int:
    return x + y


class DramatiqContender(Contender):
    def create(self) -> None:
        """There is nothing to make."""

    def fill(self, count: int) -> None:
        for number in range(count):
            add.send(number, 1)

    def send_singly(self, count: int) -> None:
        for number in range(count):
            add_other.send(number, 1)

    def send_in_bulk(self, count: int) -> None:
        self.send_singly(count)

    def waiting(self) -> int:
        """A message is deleted after its result is stored."""
        return int(broker.client.hlen("dramatiq:measured.msgs"))

    def ended_well(self) -> int:
        pipeline = broker.client.pipeline(transaction=False)
        for key in broker.client.scan_iter(f"{results.namespace}:*", count=1000):
            pipeline.lindex(key, 0)
        return sum(1 for text in pipeline.execute() if isinstance(results.encoder.decode(text), int))

    def round_trip(self) -> None:
        add.send(1, 1).get_result(block=True, timeout=30_000)


if __name__ == "__main__":
    serve(DramatiqContender())
