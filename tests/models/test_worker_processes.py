"""The rows of worker processes: who they are, and how long their messages are their own."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from django_machinery.models import WorkerProcess
from django_machinery.models.worker_process import Beat, WorkerProcessManager
from tests.contracts.support import unique

LONG = 3600.0


@pytest.fixture
def workers(database: str) -> WorkerProcessManager:
    return WorkerProcess.objects.db_manager(database)


@pytest.fixture
def token() -> str:
    return unique("worker")


def enlist(workers: WorkerProcessManager, token: str, **changes: object) -> WorkerProcess:
    about = {
        "server": "default",
        "host": "example",
        "pid": 7,
        "supervisor": "s",
        "tag": "t",
        "queues": ["b", "a"],
        "names": {"add", "multiply"},
        "concurrency": 4,
    }
    workers.enlist(token, **{**about, **changes})  # type: ignore[arg-type]
    return workers.get(token=token)


def test_a_first_renewal_enlists_and_later_ones_prolong(workers: WorkerProcessManager, token: str):
    other = unique("worker")
    assert workers.renew([token], 1.0) == {token}
    first = workers.get(token=token)
    assert workers.renew([token, other], LONG) == {token, other}
    row = workers.get(token=token)
    assert first.lease_until is not None
    assert row.lease_until is not None
    assert row.id == first.id
    assert row.lease_until - first.lease_until > timedelta(minutes=30)
    assert abs(row.lease_until - datetime.now(UTC) - timedelta(seconds=LONG)) < timedelta(seconds=60)


def test_who_is_enlisted_has_a_lease_and_says_who_it_is(workers: WorkerProcessManager, token: str):
    row = enlist(workers, token)
    assert (row.host, row.pid, row.queues, row.concurrency) == ("example", 7, "b\na", 4)
    assert row.names.splitlines()[1:] == ["add", "multiply"]
    assert row.lease_until is not None
    assert str(row) == "t example:7"


def test_enlisting_neither_renews_nor_revives(workers: WorkerProcessManager, token: str):
    workers.renew([token], LONG)
    lease = workers.get(token=token).lease_until
    assert enlist(workers, token).lease_until == lease
    workers.lose(token)
    assert enlist(workers, token, pid=8).lease_until is None
    assert workers.renew([token], LONG) == set()


def test_the_hash_of_the_names_tells_whether_two_processes_know_the_same(workers: WorkerProcessManager):
    same = [enlist(workers, unique("w"), names=names).names for names in (["add", "sub"], {"sub", "add"})]
    other = enlist(workers, unique("w"), names=["add"]).names
    hashes = [names.splitlines()[0] for names in (*same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_leases_that_have_run_out_are_lost_for_good(workers: WorkerProcessManager, token: str):
    alive = unique("worker")
    workers.renew([token], -1.0)
    workers.renew([alive], LONG)
    assert workers.renew([token], -1.0) == {token}
    assert (workers.lose_expired(), workers.lose_expired()) == (1, 0)
    assert workers.renew([token, alive], LONG) == {alive}


def test_beats_are_noted(workers: WorkerProcessManager, token: str):
    workers.renew([token], LONG)
    workers.beat([Beat(token, busy=1, done=20, failed=3, rss=4000), ("unknown", 0, 0, 0, 0)])
    workers.stop(token)
    row = workers.get(token=token)
    assert (row.busy, row.done, row.failed, row.rss, row.stopping) == (1, 20, 3, 4000, True)


def test_who_ends_well_is_forgotten_at_once_and_who_was_lost_after_a_while(workers: WorkerProcessManager, token: str):
    workers.renew([token], LONG)
    workers.retire(token)
    assert workers.id_of(token) is None
    workers.renew([token], LONG)
    workers.lose(token)
    assert workers.forget_lost(timedelta(hours=1)) == 0
    workers.filter(token=token).update(beat_at=datetime.now(UTC) - timedelta(hours=2))
    assert workers.forget_lost(timedelta(hours=1)) == 1


def test_renewing_is_one_statement_however_many_processes(database: str, workers: WorkerProcessManager):
    tokens = [unique("worker") for _ in range(5)]
    workers.renew(tokens, LONG)
    with CaptureQueriesContext(connections[database]) as queries:
        assert workers.renew(tokens, LONG) == set(tokens)
    assert len(queries) == 1
