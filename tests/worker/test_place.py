"""Places that are kept filled, and what is shown of them."""

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from django_machinery.worker import place as module
from django_machinery.worker.beacon import Beacon
from django_machinery.worker.place import STEADY, Place


class Child:
    """Stands for a child process."""

    def __init__(
        self,
        *,
        age: float = 0.1,
        on_purpose: bool = False,
        ready: bool = True,
        moves: bool = True,
        started: float = 0.0,
    ) -> None:
        self.age = age
        self.started = started
        self.ended_on_purpose = on_purpose
        self.ready = ready
        self.moves = lambda within: moves


@pytest.fixture
def place() -> Place:
    return Place()


def live_and_end(place: Place, **child: Any) -> None:
    occupant: Any = Child(**child)
    place.child = occupant
    assert not place.vacant
    place.vacate()


def test_a_place_is_filled_once(place: Place):
    assert place.vacant
    place.awaited = True
    assert not place.vacant


def test_the_first_child_that_dies_early_is_replaced_at_once_later_ones_are_not(place: Place):
    live_and_end(place)
    assert place.vacant
    live_and_end(place)
    assert not place.vacant


def test_the_delay_grows_and_ends(place: Place, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    delays = []
    for _ in range(10):
        live_and_end(place)
        delays.append(place._not_before - now if not place.vacant else 0.0)
        now = max(now, place._not_before)
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("child", [{"age": STEADY + 1}, {"on_purpose": True}])
def test_a_child_that_lived_or_ended_on_purpose_is_replaced_at_once(place: Place, child: dict[str, Any]):
    for _ in range(3):
        live_and_end(place)
    place.try_again()
    live_and_end(place, **child)
    live_and_end(place)
    assert place.vacant


def test_a_change_of_the_code_is_worth_another_try(place: Place):
    live_and_end(place)
    live_and_end(place)
    place.try_again()
    assert place.vacant


class TestBeacon:
    def test_it_announces_once_when_all_consume(self):
        announced: list[int] = []
        beacon = Beacon(None, lambda: announced.append(1))
        ready: Any = Child()
        starting: Any = Child(ready=False)
        beacon.show([ready, None])
        beacon.show([ready, starting])
        assert announced == []
        beacon.show([ready, ready])
        beacon.show([ready, ready])
        assert announced == [1]
        beacon.renew()
        beacon.show([ready, ready])
        new: Any = Child(started=monotonic())
        beacon.show([new, ready])
        assert announced == [1]
        beacon.show([new, new])
        assert announced == [1, 1]

    @pytest.mark.parametrize(
        ("children", "touched"),
        [
            ([Child(), Child()], True),
            ([Child(), Child(ready=False)], True),  # one that is just starting
            ([Child(), Child(moves=False)], False),
            ([Child(), None], False),
            ([Child(ready=False)], False),
        ],
    )
    def test_the_file_is_touched_only_while_all_fetch_loops_move(
        self, tmp_path: Path, children: list[Any], touched: bool
    ):
        file = tmp_path / "alive"
        Beacon(file, lambda: None).show(children)
        assert file.exists() is touched

    def test_a_file_that_cannot_be_touched_any_more_is_told_once_and_ends_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        monkeypatch.setattr("django_machinery.worker.beacon.TOUCH", 0.0)
        directory = tmp_path / "run"
        beacon = Beacon(directory / "alive", lambda: None)
        child: Any = Child()
        beacon.show([child])
        beacon.show([child])
        assert caplog.text.count("cannot be touched") == 1
        directory.mkdir()
        beacon.show([child])
        assert (directory / "alive").exists()
