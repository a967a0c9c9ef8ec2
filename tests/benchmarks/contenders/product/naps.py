"""`python -m tests.benchmarks.contenders.product.naps COUNT`: send tasks that take 200 ms each."""

import sys

import django

SECONDS = 0.2
BATCH = 1000


def main(count: int) -> None:
    django.setup()
    from django_machinery import Group, send_group  # not before the apps are loaded
    from tests.benchmarks.tasks import nap

    for first in range(0, count, BATCH):
        send_group(Group(*(nap.signature(SECONDS) for _ in range(first, min(first + BATCH, count)))))


if __name__ == "__main__":
    main(int(sys.argv[1]))
