"""Workers schedule, unless they are told not to."""

from collections.abc import Callable

import pytest

from django_machinery import Signature, Worker, servers
from django_machinery.models import Schedule, Tick
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.integration.conftest import running
from tests.processes import Process
from tests.proofs.ledger import is_punctual
from tests.waiting import wait_until

pytestmark = on_databases("default")


@pytest.fixture
def server(database: str) -> Server:
    return servers[database]


@pytest.fixture
def schedule(server: Server) -> Schedule:
    row = Schedule(name="often", spec="@every 1s")
    row.invocations = (Signature.of("tests.app.tasks.add", 1, 2, queue=unique("idle")),)
    row.save()
    return row


def sent(count: int) -> bool:
    return Tick.objects.filter(status="sent").count() >= count


@pytest.mark.usefixtures("schedule")
def test_a_worker_sends_what_is_due_at_most_100_ms_late(server: Server):
    """At idle: the machine may be busy for a while, so that the middle one of any seven ticks in a row counts."""

    def delays() -> list[float]:
        ticks = Tick.objects.filter(status="sent").order_by("tick_at")
        return [(tick.sent_at - tick.tick_at).total_seconds() for tick in ticks if tick.sent_at is not None]

    with running(Worker(server, concurrency=1)):
        wait_until(lambda: is_punctual(delays()), timeout=100)
    assert min(delays()) >= 0


@pytest.mark.usefixtures("schedule")
def test_a_worker_that_was_told_so_or_that_drains_does_not(server: Server):
    with running(Worker(server, concurrency=1, schedules=False)):
        Worker(server, concurrency=1).run(drain=True)
    assert Schedule.objects.get().next_at is None


@pytest.mark.usefixtures("schedule")
def test_the_command_schedules_unless_told_not_to(spawn: Callable[..., Process]):
    common = ("-m", "django", "runworker", "--processes=1", "--concurrency=1", "--no-reload")
    spawn(*common, "--no-scheduler").wait_for_line("READY")
    assert Schedule.objects.get().next_at is None
    worker = spawn(*common)
    worker.wait_for_line("READY")
    wait_until(lambda: sent(2), timeout=20, message=lambda: worker.output)
