"""`orm://`: the result backend contract on every engine, and what only this backend does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.backend import OrmBackend
from django_machinery.models import GroupMeta, TaskState
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, STARTED, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from tests.contracts.backend import BackendContract
from tests.contracts.backend_base import BackendTopic, set_state, success, task
from tests.contracts.support import unique
from tests.drivers.orm import OrmDrivers, away, connections_fail

DAY = timedelta(days=1)


@connections_fail
class TestOrmBackend(OrmDrivers, BackendContract):
    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[ResultBackend]:
        with away(database):
            yield OrmBackend(f"orm://{database}", config)


class TestTransactions(OrmDrivers, BackendTopic):
    def test_states_are_part_of_the_transaction_in_which_they_are_set(self, database: str, backend: ResultBackend):
        known, ended, unknown = task(), task(), task()
        backend.set_states([StateChange(known, PENDING), success(ended)])
        with transaction.atomic(using=database):
            # Of these one wins, one loses and one is made: the transaction stays in order.
            assert backend.set_states([success(known), success(ended), success(unknown)]) == [True, False, True]
            transaction.set_rollback(True, using=database)
        states = backend.get_states([known.uuid, ended.uuid, unknown.uuid])
        assert [state and state.state for state in states] == [PENDING, SUCCESS, None]

    def test_a_final_state_only_where_there_is_none(self, backend: ResultBackend):
        known, unknown = task(), task()
        set_state(backend, known, STARTED)
        changes = [StateChange(each, FAILURE, error="no", if_absent=True) for each in (known, unknown)]
        assert backend.set_states(changes) == [False, True]
        states = backend.get_states([known.uuid, unknown.uuid])
        assert [state and state.state for state in states] == [STARTED, FAILURE]


class TestWaiting(OrmDrivers, BackendTopic):
    def test_waiting_for_many_asks_after_few_at_a_time(self, database: str, backend: ResultBackend):
        tasks = [task() for _ in range(300)]
        backend.set_states([success(each) for each in tasks[1:]] + [StateChange(tasks[0], PENDING)])
        with CaptureQueriesContext(connections[database]) as queries:
            backend.wait([each.uuid for each in tasks], 0.5)
        asked = [query["sql"] for query in queries if "task_state" in query["sql"]]
        assert max(sql.count("task-") for sql in asked[:-1]) <= 50
        assert len(asked) <= 40


class TestRetention(OrmDrivers, BackendTopic):
    @pytest.fixture(params=[pytest.param({"results_expire_in": None}, id="default")])
    def config(self, request: pytest.FixtureRequest) -> ServerConfig:
        from tests.contracts.support import config_with

        return config_with(**request.param)

    def ended(self, database: str, backend: ResultBackend, state: str, ago: timedelta, **fields: str) -> Signature:
        """A task that ended so long ago."""
        signature, when = task(**fields), datetime.now(UTC) - ago
        assert set_state(backend, signature, state, finished_at=when)
        TaskState.objects.using(database).filter(uuid=signature.uuid).update(created_at=when)
        return signature

    def test_successes_are_kept_for_7_days_and_failures_for_30(self, database: str, backend: ResultBackend):
        kept = [self.ended(database, backend, SUCCESS, 6 * DAY), self.ended(database, backend, FAILURE, 29 * DAY)]
        gone = [self.ended(database, backend, SUCCESS, 8 * DAY), self.ended(database, backend, FAILURE, 31 * DAY)]
        assert backend.expire() == 2
        assert None not in backend.get_states([each.uuid for each in kept])
        assert backend.get_states([each.uuid for each in gone]) == [None, None]

    def test_it_deletes_a_little_at_a_time(self, database: str, backend: ResultBackend):
        for _ in range(5):
            self.ended(database, backend, SUCCESS, 8 * DAY)
        assert [backend.expire(limit=2) for _ in range(4)] == [2, 2, 1, 0]

    def test_members_of_a_group_that_is_not_settled_are_spared(self, database: str, backend: ResultBackend):
        open_group, settled = unique("group"), unique("group")
        for group in (open_group, settled):
            backend.init_group(group, ["a", "b"], task())
        backend.trigger_chord(settled, "a")
        kept = self.ended(database, backend, SUCCESS, 8 * DAY, group_uuid=open_group)
        gone = self.ended(database, backend, SUCCESS, 8 * DAY, group_uuid=settled)
        unknown = self.ended(database, backend, SUCCESS, 8 * DAY, group_uuid=unique("group"))
        GroupMeta.objects.using(database).update(created_at=datetime.now(UTC) - 8 * DAY)
        GroupMeta.objects.using(database).filter(uuid=settled).update(settled_at=datetime.now(UTC) - 8 * DAY)
        assert backend.expire() == 3
        states = backend.get_states([kept.uuid, gone.uuid, unknown.uuid])
        assert [state is not None for state in states] == [True, False, False]
        assert backend.get_group(open_group) is not None
        assert backend.get_group(settled) is None
