"""What a worker process did, as it writes it down."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test.utils import CaptureQueriesContext

from django_machinery import RetryLater, Worker, send_task
from django_machinery.histogram import Histogram
from django_machinery.models import Stat
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.consumer import Delivery
from django_machinery.server import Server
from django_machinery.worker.outcomes import TaskOutcome
from django_machinery.worker.tally import Tally
from tests.databases import on_databases
from tests.worker.support import database_server

pytestmark = on_databases("default", "postgres")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        yield server


def outcome(state: str = SUCCESS, seconds: float = 0.5, waited: float | None = None, **fields: Any) -> TaskOutcome:
    signature = Signature(name="add", uuid="task_1")
    delivery = Delivery(b"", "math", 1, "token", claimed_at=monotonic(), waited=waited)
    return TaskOutcome(delivery, signature, StateChange(signature, state, **fields), seconds=seconds)


def rows(database: str) -> dict[str, Stat]:
    return {row.outcome: row for row in Stat.objects.using(database).all()}


def test_a_worker_leaves_its_figures(server: Server, database: str):
    def later() -> None:
        raise RetryLater("not yet", timedelta(hours=1))

    server.register_task("add", lambda x, y: x + y)
    server.register_task("fail", lambda: 1 // 0)
    server.register_task("later", later)
    for name, args in (("add", [1, 2]), ("add", [3, 4]), ("fail", []), ("later", [])):
        send_task(name, args=args)
    Worker(server, concurrency=1).run(drain=True)
    counts = Stat.objects.using(database).values_list("name", "outcome", "count", "queue", "server")
    assert set(counts) == {
        ("add", "succeeded", 2, "machinery_tasks", "default"),
        ("fail", "failed", 1, "machinery_tasks", "default"),
        ("later", "retried", 1, "machinery_tasks", "default"),
    }
    added = Stat.objects.using(database).get(name="add")
    assert added.worker_id != 0
    assert (Histogram([added.run_hist]).count, Histogram([added.wait_hist]).count) == (2, 2)
    assert (datetime.now(UTC) - added.minute).total_seconds() < 120


def test_all_that_has_changed_is_one_statement(server: Server, database: str):
    tally = Tally(server, "token")
    for state in (SUCCESS, FAILURE):
        tally.ended(outcome(state))
    tally.ended(outcome(FAILURE, reason="cancelled"))
    tally.count()
    with CaptureQueriesContext(connections[database]) as queries:
        tally.store()
        tally.store()
    assert len([query for query in queries if "machinery_stat" in query["sql"]]) == 1
    assert set(rows(database)) == {"succeeded", "failed", "cancelled"}


def test_sums_grow_within_their_minute(server: Server, database: str):
    tally = Tally(server, "token")
    for seconds in (0.5, 1.5):
        tally.ended(outcome(seconds=seconds, waited=0.25))
        tally.count()
        tally.store()
    total = sum(row.count for row in Stat.objects.using(database).all())
    assert total == 2 or Stat.objects.using(database).count() == 2  # a new minute may have begun
    assert sum(row.run_ms for row in Stat.objects.using(database).all()) >= 2000
    assert sum(row.wait_ms for row in Stat.objects.using(database).all()) >= 500


def test_where_nobody_knows_the_wait_none_is_counted(server: Server, database: str):
    tally = Tally(server, "token")
    tally.ended(outcome())
    tally.count()
    tally.store()
    (row,) = rows(database).values()
    assert (row.count, row.wait_hist) == (1, "")


def test_nothing_is_lost_while_the_database_is_away(server: Server, database: str, monkeypatch: pytest.MonkeyPatch):
    tally = Tally(server, "token")
    tally.ended(outcome())
    tally.count()
    with monkeypatch.context() as away:
        away.setattr(type(Stat.objects), "record", _fail)
        with pytest.raises(OperationalError):
            tally.store()
    tally.store()
    assert rows(database)["succeeded"].count == 1


def test_figures_can_be_switched_off(database: str):
    with database_server(database, STATS=False) as server:
        server.register_task("add", lambda x, y: x + y)
        send_task("add", args=[1, 2])
        Worker(server, concurrency=1).run(drain=True)
    assert not Stat.objects.using(database).exists()


def _fail(*_: Any) -> None:
    raise OperationalError("away")
