"""`orm://`: the lock contract on every engine, and what only this lock does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from django_machinery.conf import ServerConfig
from django_machinery.drivers.orm.lock import OrmLock
from django_machinery.exceptions import LockError
from django_machinery.models import Lock as LockRow
from django_machinery.seams.lock import Lock
from tests.contracts.lock import LockContract, seconds
from tests.contracts.support import config_with, unique
from tests.databases import on_databases
from tests.drivers.orm import away, connections_fail


@connections_fail
class TestOrmLock(LockContract):
    @pytest.fixture
    def lock(self, config: ServerConfig, database: str) -> Lock:
        return OrmLock(f"orm://{database}", config)

    @pytest.fixture
    def other(self, config: ServerConfig, database: str) -> Lock:
        return OrmLock(f"orm://{database}", config)

    @pytest.fixture
    def unreachable(self, config: ServerConfig, database: str) -> Iterator[Lock]:
        with away(database):
            yield OrmLock(f"orm://{database}", config)


@pytest.fixture
def lock(database: str) -> OrmLock:
    return OrmLock(f"orm://{database}", config_with())


@pytest.fixture
def key() -> str:
    return unique("machinery_lock")


@on_databases("mariadb", "postgres")
def test_a_lock_outlives_the_transaction_in_which_it_is_taken(database: str, lock: OrmLock, key: str):
    with transaction.atomic(using=database):
        assert lock.acquire(key, seconds(60))
        transaction.set_rollback(True, using=database)
    assert not OrmLock(f"orm://{database}", config_with()).acquire(key, seconds(60))
    with transaction.atomic(using=database):
        assert lock.release(key)
        transaction.set_rollback(True, using=database)
    assert lock.acquire(key, seconds(60))


@on_databases("default")
def test_on_sqlite_a_lock_is_refused_within_a_transaction_which_it_would_wait_for(
    database: str, lock: OrmLock, key: str
):
    with transaction.atomic(using=database):
        with pytest.raises(LockError, match="within a transaction"):
            lock.acquire(key, seconds(60))
        with pytest.raises(LockError, match="within a transaction"):
            lock.release(key)
    assert lock.acquire(key, seconds(60))


def test_the_row_has_the_time_in_nanoseconds_as_go_writes_it(database: str, lock: OrmLock, key: str):
    until = datetime(2126, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
    assert lock.acquire(key, until)
    row = LockRow.objects.using(database).get(name=key)
    assert (row.value, row.expires_at) == (4950936000123456000, until)


def test_long_keys_that_differ_only_at_their_ends_are_told_apart(lock: OrmLock):
    long = "é" * 300
    keys = [f"{long}{end}" for end in ("a", "b")]
    assert [lock.acquire(each, seconds(60)) for each in [*keys, *keys]] == [True, True, False, False]
    assert [lock.release(each) for each in keys] == [True, True]


def test_a_lock_until_a_time_that_has_passed_is_free_at_once(lock: OrmLock, key: str):
    assert lock.acquire(key, datetime.now(UTC) - timedelta(seconds=1))
    assert not lock.release(key)
    assert lock.acquire(key, seconds(60))
