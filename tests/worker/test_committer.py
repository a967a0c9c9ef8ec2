"""The committer: outcomes become durable in batches, whatever the stores do."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from django_machinery import signals
from django_machinery.exceptions import BackendRefused, BackendUnavailable, BrokerError, BrokerUnavailable
from django_machinery.protocol.go_types import results_to_wire
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, STARTED, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Note, Outcome, Unit, Verdict
from django_machinery.server import Server
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.committer import Committer
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.outcomes import Committed, Parked, Released, TaskOutcome
from django_machinery.worker.stores import Stores
from tests.waiting import wait_until
from tests.worker.support import Script, delivery_of, heard, toy_server


class Ledger(Unit):
    """A unit that writes down what it is given, and does what a test tells it before."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Outcome], list[Note]]] = []
        self.before: Callable[[Sequence[Outcome]], Any] = lambda outcomes: None
        self.verdict: Callable[[Outcome], Verdict] = lambda outcome: Verdict.COMMITTED

    def commit(self, outcomes: Sequence[Outcome], notes: Sequence[Note] = ()) -> list[Verdict]:
        self.before(outcomes)
        self.batches.append((list(outcomes), list(notes)))
        return [self.verdict(outcome) for outcome in outcomes]

    @property
    def committed(self) -> list[Outcome]:
        return [outcome for outcomes, _ in self.batches for outcome in outcomes]


class Shelf:
    """What was given back to a consumer."""

    def __init__(self) -> None:
        self.parked: list[Any] = []
        self.released: list[Any] = []
        self.park = self.parked.extend
        self.release = self.released.extend


@pytest.fixture
def server() -> Server:
    return toy_server()


@pytest.fixture
def unit() -> Ledger:
    return Ledger()


@pytest.fixture
def shelf() -> Any:
    return Shelf()


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def committer(server: Server, unit: Ledger, shelf: Any, errors: list[BaseException]) -> Iterator[Committer]:
    hooks = Hooks(error=errors.append)
    stores = Stores(server.config)
    committer = Committer(server, shelf, unit, stores, Announcer(server, "me"), hooks, "me", lambda: None)
    yield committer
    stores.abort()
    committer.stop()
    assert committer.join(5)


def success(name: str, value: Any = None) -> TaskOutcome:
    signature = Signature(name=name, uuid=f"task_{name}")
    change = StateChange(signature, SUCCESS, results_to_wire(value))
    return TaskOutcome(delivery_of(signature), signature, change, seconds=0.5)


def started(name: str) -> Note:
    signature = Signature(name=name, uuid=f"task_{name}")
    return Note(delivery_of(signature), StateChange(signature, STARTED))


def names(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.signature.name for outcome in outcomes if outcome.signature is not None]


def run(committer: Committer, *endings: Any) -> None:
    """Let it end these, all at once."""
    for ending in endings:
        committer.put(ending)
    committer.start()
    committer.stop()
    assert committer.join(10)


def refuse(*bad: str) -> Callable[[Sequence[Outcome]], None]:
    """A store that cannot hold the results of these tasks."""

    def check(outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.change is not None and outcome.change.state == SUCCESS and names([outcome])[0] in bad:
                raise BackendRefused("invalid \0 byte")

    return check


def test_what_waits_is_committed_in_one_batch(committer: Committer, unit: Ledger):
    run(committer, success("a"), success("b"), success("c"))
    assert [names(outcomes) for outcomes, _ in unit.batches] == [["a", "b", "c"]]
    assert committer.ended == 3


def test_the_next_batch_collects_while_one_is_on_its_way(committer: Committer, unit: Ledger):
    collected: list[bool] = []

    def while_committing(outcomes: Sequence[Outcome]) -> None:
        if not collected:
            collected.append(True)
            for name in "bcd":
                committer.put(success(name))

    unit.before = while_committing
    committer.start()
    committer.put(success("a"))
    wait_until(lambda: committer.ended == 4)
    assert [names(outcomes) for outcomes, _ in unit.batches] == [["a"], ["b", "c", "d"]]


def test_signals_and_figures_follow_the_commit(committer: Committer, unit: Ledger, errors: list[BaseException]):
    error = ValueError("no")
    failed = success("b")
    failed.change = StateChange(Signature(name="b", uuid="b"), FAILURE, error="no", reason="error")
    failed.exception = error
    with heard(signals.task_succeeded, signals.task_failed) as told:
        unit.before = lambda outcomes: told.append({"signal": "commit"})
        run(committer, success("a", 3), failed)
    assert [event["signal"] for event in told] == ["commit", signals.task_succeeded, signals.task_failed]
    assert (told[1]["seconds"], told[1]["worker"]) == (0.5, "me")
    assert (told[2]["exception"], told[2]["error"], told[2]["reason"]) == (error, "no", "error")
    assert (committer.failed, errors) == (1, [error])


def test_a_store_that_is_away_is_waited_for(committer: Committer, unit: Ledger):
    unit.before = Script(BrokerUnavailable("gone"), BackendUnavailable("gone too"))
    with heard(signals.store_unavailable, signals.store_recovered, signals.task_succeeded) as told:
        run(committer, success("a"))
    assert names(unit.committed) == ["a"]
    assert [(event["signal"], event.get("store")) for event in told] == [
        (signals.store_unavailable, "orm://default"),
        (signals.store_recovered, "orm://default"),
        (signals.task_succeeded, None),
    ]


def test_an_outcome_that_the_store_cannot_hold_fails_alone(committer: Committer, unit: Ledger):
    unit.before = refuse("d")
    with heard(signals.task_succeeded, signals.task_failed) as told:
        run(committer, *map(success, "abcdefg"))
    stored = {names([outcome])[0]: outcome.change for outcome in unit.committed}
    assert sorted(stored) == list("abcdefg")
    assert [name for name, change in stored.items() if change is not None and change.state == FAILURE] == ["d"]
    assert stored["d"] is not None
    assert stored["d"].error == "the outcome of the task cannot be stored: invalid \ufffd byte"
    assert sum(event["signal"] is signals.task_failed for event in told) == 1
    assert committer.ended == 7


def test_what_is_refused_even_then_is_buried(committer: Committer, unit: Ledger):
    unit.before = Script(*[BackendRefused("no")] * 3)  # the outcome, twice, then what stands for it
    run(committer, success("a"))
    (outcome,) = unit.committed
    assert outcome.burial is not None
    assert outcome.burial.reason == "refused"
    assert outcome.change is not None
    assert outcome.change.error == "the outcome of the task cannot be stored"


def test_what_cannot_be_buried_with_a_state_is_buried_without_one(committer: Committer, unit: Ledger):
    unit.before = Script(*[BackendRefused("no")] * 4)
    run(committer, success("a"))
    (outcome,) = unit.committed
    assert outcome.burial is not None
    assert outcome.burial.reason == "refused"
    assert (outcome.signature, outcome.change) == (None, None)


def test_what_cannot_even_be_buried_stays_held_and_is_told(
    committer: Committer, unit: Ledger, caplog: pytest.LogCaptureFixture
):
    unit.before = Script(*[BackendRefused("no")] * 20)
    run(committer, success("a"))
    assert unit.committed == []
    assert "cannot be stored" in caplog.text
    assert committer.ended == 1


def test_an_outcome_whose_message_is_lost_counts_for_nothing(committer: Committer, unit: Ledger):
    unit.verdict = lambda outcome: Verdict.FENCED
    with heard(signals.lease_lost, signals.task_succeeded) as told:
        run(committer, success("a"))
    assert [(event["signal"], event["token"]) for event in told] == [(signals.lease_lost, "token")]


def test_an_overtaken_outcome_is_completed_from_the_stored_state(server: Server, committer: Committer, unit: Ledger):
    late = success("a", 1)
    assert late.signature is not None
    late.signature = late.signature.replace(on_success=[Signature(name="log", uuid="task_log")])
    server.backend.set_states([StateChange(late.signature, SUCCESS, results_to_wire(2))])
    unit.verdict = lambda outcome: Verdict.OVERTAKEN if outcome.change is not None else Verdict.COMMITTED
    with heard(signals.task_succeeded) as told:
        run(committer, late)
    _, second = unit.committed
    assert second.final is not None
    assert [[bytes(a.value) for a in s.args or ()] for s in second.follow_ups] == [[b"2"]]
    assert told == []


def test_notes_go_with_a_batch_unless_their_task_has_ended(committer: Committer, unit: Ledger):
    late, true = (started(name) for name in ("a", "z"))
    for note in (late, true):
        committer.note(note)
    run(committer, success("a"))
    assert [notes for _, notes in unit.batches] == [[true]]
    assert committer.ended == 1


def test_notes_that_are_refused_hinder_no_outcome(committer: Committer, unit: Ledger):
    def check(outcomes: Sequence[Outcome]) -> None:
        if not unit.batches and not refused:
            refused.append(True)
            raise BackendRefused("no")

    refused: list[bool] = []
    unit.before = check
    committer.note(started("z"))
    run(committer, success("a"))
    assert unit.batches[0][1] == []
    assert unit.committed[0].change is not None
    assert unit.committed[0].change.state == SUCCESS


def test_messages_go_back_and_are_parked(committer: Committer, shelf: Any):
    released, parked = success("a"), success("b")
    assert parked.signature is not None
    with heard(signals.task_parked) as told:
        run(committer, Released(released.delivery), Parked(parked.delivery, parked.signature))
    assert (shelf.released, shelf.parked) == ([released.delivery], [parked.delivery])
    assert [event["signature"] for event in told] == [parked.signature]
    assert committer.ended == 2


def test_what_cannot_be_given_back_stays_held_and_keeps_nothing_else(
    committer: Committer, unit: Ledger, shelf: Any, caplog: pytest.LogCaptureFixture
):
    released, parked = success("a"), success("b")
    assert parked.signature is not None
    shelf.park = Script(BrokerError("refused"))
    run(committer, Parked(parked.delivery, parked.signature), Released(released.delivery))
    assert (shelf.released, shelf.parked) == ([released.delivery], [])
    assert "could not be given back" in caplog.text
    assert committer.ended == 2


def test_what_cannot_be_completed_keeps_nothing_else(
    server: Server, committer: Committer, unit: Ledger, shelf: Any, monkeypatch: pytest.MonkeyPatch
):
    late, released = success("a"), success("b")
    monkeypatch.setattr(server.backend, "get_states", Script(BackendRefused("no")))
    unit.verdict = lambda outcome: Verdict.OVERTAKEN
    run(committer, late, Released(released.delivery))
    assert shelf.released == [released.delivery]
    assert committer.ended == 2


def test_what_is_committed_already_is_only_told(committer: Committer, unit: Ledger):
    with heard(signals.task_succeeded) as told:
        run(committer, Committed(success("a")))
    assert (unit.batches, len(told), committer.ended) == ([], 1, 1)
