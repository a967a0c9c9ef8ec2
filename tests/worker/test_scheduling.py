"""Workers schedule, unless they are told not to."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from django_machinery import Signature, Worker, servers
from django_machinery.models import Schedule, Tick
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.integration.conftest import running
from tests.processes import Process
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
    """At idle: the machine may be busy, so of several ticks the best counts."""

    def punctual() -> bool:
        delays = [tick.sent_at - tick.tick_at for tick in Tick.objects.filter(status="sent") if tick.sent_at]
        assert all(delay >= timedelta(0) for delay in delays)
        return any(delay <= timedelta(seconds=0.1) for delay in delays)

    with running(Worker(server, concurrency=1)):
        wait_until(punctual, timeout=30)


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
