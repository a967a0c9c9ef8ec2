"""A thread that does jobs again and again."""

import threading
from collections.abc import Iterator

import pytest

from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.worker import rounds as module
from django_machinery.worker.rounds import Job, Rounds
from django_machinery.worker.stores import Stores
from tests.contracts.support import config_with
from tests.waiting import wait_until
from tests.worker.support import Script


class Team:
    """Starts rounds and ends them with the test."""

    def __init__(self) -> None:
        self._started: list[Rounds] = []

    def __call__(self, *jobs: Job) -> Rounds:
        rounds = Rounds("test", Stores(config_with()), jobs)
        self._started.append(rounds)
        rounds.start()
        return rounds

    def end(self) -> None:
        for rounds in self._started:
            rounds.stop(10)


@pytest.fixture
def rounds_of() -> Iterator[Team]:
    team = Team()
    yield team
    team.end()


def test_each_job_has_its_own_period(rounds_of: Team):
    often, rarely = Script(), Script()
    rounds_of(Job(0.01, often), Job(60, rarely))
    wait_until(lambda: len(often.calls) > 5)
    assert len(rarely.calls) == 1


def test_a_job_that_raises_stops_nothing_and_is_done_again(
    rounds_of: Team, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "AFTER_ERROR", 0.02)
    bad, good = Script(ValueError("oops"), ValueError("oops")), Script()
    rounds_of(Job(0.01, bad), Job(0.01, good))
    wait_until(lambda: len(good.calls) > 3)
    wait_until(lambda: len(bad.calls) > 3)
    assert "housekeeping failed" in caplog.text


def test_a_store_that_refuses_is_told_in_one_line(rounds_of: Team, caplog: pytest.LogCaptureFixture):
    refused = Script(BrokerError("wrong password"))
    rounds_of(Job(60, refused))
    wait_until(lambda: "housekeeping failed: wrong password" in caplog.text)
    assert "Traceback" not in caplog.text


def test_a_job_whose_store_is_away_waits_and_others_go_on(rounds_of: Team):
    away, other = Script(*[BrokerUnavailable("gone")] * 2), Script()
    rounds_of(Job(0.001, away), Job(0.001, other))
    wait_until(lambda: len(away.calls) >= 3)
    assert len(other.calls) > len(away.calls)


def test_errands_are_done_soon_once_and_in_order(rounds_of: Team):
    done: list[int] = []
    rounds = rounds_of(Job(60, Script()))
    for number in range(5):
        rounds.soon(lambda number=number: done.append(number))  # type: ignore[misc]
    wait_until(lambda: len(done) == 5, timeout=5)
    assert done == [0, 1, 2, 3, 4]


def test_an_errand_whose_store_is_away_is_done_when_it_is_back_and_keeps_its_place(rounds_of: Team):
    done: list[str] = []
    first = Script(BrokerUnavailable("gone"), BrokerUnavailable("gone"), then=lambda: done.append("first"))
    rounds = rounds_of()
    rounds.soon(first)
    rounds.soon(lambda: done.append("second"))
    wait_until(lambda: len(done) == 2)
    assert done == ["first", "second"]


def test_it_ends_after_its_errands(rounds_of: Team):
    started, go = threading.Event(), threading.Event()
    done: list[str] = []
    rounds = rounds_of(Job(0.001, Script()))

    def wait() -> None:
        started.set()
        assert go.wait(10)

    rounds.soon(wait)
    rounds.soon(lambda: done.append("last"))
    assert started.wait(10)
    threading.Timer(0.05, go.set).start()
    rounds.stop(10)
    assert done == ["last"]
