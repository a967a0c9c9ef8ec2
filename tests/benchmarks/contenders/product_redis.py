"""django_machinery on Redis: the same calls, and other places to look for what has become of the tasks."""

import django

from tests.benchmarks.steps import serve


def main() -> None:
    from django_machinery import Group, send_group, servers  # not before the apps are loaded
    from django_machinery.drivers.redis.broker import RedisBroker
    from django_machinery.drivers.redis.keys import queue_keys
    from tests.benchmarks.contenders.product.client import Product
    from tests.benchmarks.tasks import add

    broker = servers["default"].broker
    assert isinstance(broker, RedisBroker)
    client = broker.client
    keys = queue_keys("measured")

    class ProductOnRedis(Product):
        def __init__(self) -> None:
            self._sent: list[str] = []

        def fill(self, count: int) -> None:
            for first in range(0, count, 1000):
                numbers = range(first, min(first + 1000, count))
                group = send_group(Group(*(add.signature(number, 1) for number in numbers)))
                self._sent += [result.uuid for result in group.results]

        def waiting(self) -> int:
            tokens = client.call(keys.queue, ("SMEMBERS", keys.holders))
            held = [("HLEN", keys.held(token.decode())) for token in tokens]
            return sum(client.calls([(keys.queue, command) for command in [("LLEN", keys.queue), *held]]))

        def drained(self) -> bool:
            return not self.waiting()

        def ended_well(self) -> int:
            states = servers["default"].backend.get_states(self._sent)
            return sum(1 for state in states if state is not None and state.is_success and state.results)

        def hold(self) -> None:
            client.call(keys.queue, ("RENAME", keys.queue, "held"))

        def release(self) -> None:
            client.call(keys.queue, ("RENAME", "held", keys.queue))

    serve(ProductOnRedis())


if __name__ == "__main__":
    django.setup()
    main()
