"""The lock contract: `seams/lock.py` as tests. A driver supplies the fixtures `lock` and `other`."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.exceptions import LockUnavailable
from django_machinery.seams.lock import Lock
from tests.contracts.support import config_with, race, unique
from tests.waiting import wait_until


def seconds(count: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=count)


class LockContract:
    @pytest.fixture
    def config(self) -> ServerConfig:
        return config_with()

    @pytest.fixture
    def lock(self, config: ServerConfig) -> Lock:
        raise NotImplementedError

    @pytest.fixture
    def other(self, config: ServerConfig) -> Lock:
        """Another object on the same store, as another process has."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self, config: ServerConfig) -> Lock:
        """A lock whose store cannot be reached."""
        pytest.skip("a store in memory can always be reached")

    @pytest.fixture
    def key(self) -> str:
        return unique("machinery_lock")

    def test_a_key_has_one_holder(self, lock: Lock, other: Lock, key: str):
        assert lock.acquire(key, seconds(60))
        assert not other.acquire(key, seconds(60))
        assert not other.acquire(key, seconds(120))

    def test_the_holder_is_refused_too(self, lock: Lock, key: str):
        assert lock.acquire(key, seconds(60))
        assert not lock.acquire(key, seconds(60))

    def test_a_released_key_is_free(self, lock: Lock, other: Lock, key: str):
        assert lock.acquire(key, seconds(60))
        assert lock.release(key)
        assert other.acquire(key, seconds(60))
        assert not lock.release(key)

    def test_only_the_holder_releases(self, lock: Lock, other: Lock, key: str):
        assert lock.acquire(key, seconds(60))
        assert not other.release(key)
        assert not other.acquire(key, seconds(60))
        assert lock.release(key)

    def test_what_nobody_holds_cannot_be_released(self, lock: Lock, key: str):
        assert not lock.release(key)

    def test_a_key_is_free_after_its_time_and_the_late_holder_has_lost_it(self, lock: Lock, other: Lock, key: str):
        until = seconds(0.5)
        assert lock.acquire(key, until)
        wait_until(lambda: other.acquire(key, seconds(60)), interval=0.05)
        assert datetime.now(UTC) > until - timedelta(seconds=0.05)
        assert not lock.release(key)
        assert not lock.acquire(key, seconds(60))

    def test_keys_are_told_apart_to_the_letter(self, lock: Lock, key: str):
        keys = [key, key.upper(), key + " ", key + "é@every 1m", "k" * 200 + key]
        assert [lock.acquire(each, seconds(60)) for each in keys] == [True] * 5
        assert [lock.release(each) for each in keys] == [True] * 5

    def test_of_racing_holders_one_wins(self, lock: Lock, other: Lock, key: str):
        attempts = [partial(holder.acquire, key, seconds(60)) for holder in [lock, other] * 4]
        assert race(attempts).count(True) == 1

    def test_an_expired_key_has_one_next_holder(self, lock: Lock, other: Lock, key: str):
        assert lock.acquire(key, seconds(0.3))
        attempts = [partial(holder.acquire, key, seconds(60)) for holder in [lock, other] * 3]
        assert wait_until(lambda: race(attempts).count(True)) == 1

    def test_anybody_can_see_until_when_a_key_is_held(self, lock: Lock, other: Lock, key: str):
        until = seconds(60)
        assert other.held_until(key) is None
        assert lock.acquire(key, until)
        assert lock.held_until(key) == other.held_until(key) == until
        assert lock.release(key)
        assert other.held_until(key) is None

    def test_a_closed_lock_may_be_used_again(self, lock: Lock, key: str):
        lock.close()
        assert lock.acquire(key, seconds(60))

    def test_checks_are_a_list_of_messages(self, lock: Lock):
        assert [message for message in lock.check() if message.is_serious()] == []

    def test_every_call_says_that_the_store_cannot_be_reached(self, unreachable: Lock, key: str):
        with pytest.raises(LockUnavailable):
            unreachable.acquire(key, seconds(60))
        with pytest.raises(LockUnavailable):
            unreachable.release(key)
        with pytest.raises(LockUnavailable):
            unreachable.held_until(key)
