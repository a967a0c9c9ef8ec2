"""`python -m tests.benchmarks.contenders.product.naps COUNT`: send tasks that take 20 ms each."""

import sys

import django
from django.db import transaction

SECONDS = 0.02


def main(count: int) -> None:
    django.setup()
    from tests.benchmarks.tasks import nap  # not before the apps are loaded

    for first in range(0, count, 1000):
        with transaction.atomic():
            for _ in range(first, min(first + 1000, count)):
                nap.send(SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
