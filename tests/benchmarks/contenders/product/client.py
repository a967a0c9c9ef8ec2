"""django_machinery by what it offers to a project: `@task`, `send`, `send_group`, `AsyncResult.get`."""

from django.core.management import call_command
from django.db import transaction

from django_machinery import Group, send_group
from django_machinery.models import Message, TaskState
from tests.benchmarks.contender import Contender
from tests.benchmarks.tasks import add


class Product(Contender):
    def create(self) -> None:
        call_command("migrate", verbosity=0)

    def fill(self, count: int) -> None:
        for first in range(0, count, 1000):
            with transaction.atomic():
                for number in range(first, min(first + 1000, count)):
                    add.send(number, 1)

    def send_singly(self, count: int) -> None:
        task = add.using(queue="other")
        for number in range(count):
            task.send(number, 1)

    def send_in_bulk(self, count: int) -> None:
        task = add.using(queue="other")
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            send_group(Group(*(task.signature(number, 1) for number in numbers)))

    def waiting(self) -> int:
        return Message.objects.count()

    def drained(self) -> bool:
        return not Message.objects.exists()

    def ended_well(self) -> int:
        return TaskState.objects.filter(queue="measured", state="SUCCESS", results__isnull=False).count()

    def round_trip(self) -> None:
        add.send(1, 1).get(timeout=30)

    def hold(self) -> None:
        """Take what waits away from the workers."""
        Message.objects.update(queue="held")

    def release(self) -> None:
        """Let the workers have it, all at once."""
        Message.objects.update(queue="measured")
