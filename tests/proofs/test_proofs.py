"""The proofs at the size of CI. `python -m tests.proofs` runs them at their full size."""

from pathlib import Path

import pytest

from tests.databases import on_databases
from tests.proofs import bad_input, bad_messages, climbers, frozen, groups, poison, rescue, senders, stranding
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, site

SEED = 1


def assert_kept(ledger: Ledger) -> None:
    assert not ledger.broken, str(ledger)


@on_databases("default")
def test_a_killed_worker_s_messages_are_run_by_another_within_20_seconds(place: Site):
    assert_kept(rescue.prove(place, kills=2, seed=SEED))


@on_databases("default")
def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_when_it_wakes(database: str, tmp_path: Path):
    with site(database, tmp_path) as place:
        assert_kept(frozen.prove(place, seed=SEED))


@on_databases("default", "postgres")
def test_a_worker_that_was_frozen_as_a_task_started_shows_nothing_of_it_when_it_wakes(database: str, tmp_path: Path):
    with site(database, tmp_path, LEASE=4.0) as place:
        assert_kept(climbers.prove(place, seed=SEED))


@on_databases("default", "postgres")
def test_a_task_that_ends_its_process_is_found_and_none_of_2000_neighbours_blamed(place: Site):
    assert_kept(poison.prove(place, neighbours=2000, guilty=1, seed=SEED))


@on_databases("default", "postgres")
def test_a_long_task_strands_no_message_that_an_idle_process_could_run(place: Site):
    assert_kept(stranding.prove(place, rounds=2, seed=SEED))


@on_databases("default")
def test_senders_that_crash_after_their_commit_lose_nothing_and_before_it_send_nothing(toy_place: Site):
    assert_kept(senders.prove(toy_place, crashes=100, seed=SEED))


@on_databases("default")
def test_bad_messages_arguments_and_settings_are_refused_with_a_reason(place: Site):
    assert_kept(bad_input.prove(place.server, inputs=bad_input.INPUTS // 20, seed=SEED))


@on_databases("default", "postgres")
def test_bad_messages_in_the_database_end_no_worker(place: Site):
    assert_kept(bad_messages.prove(place, count=250, seed=SEED))


@on_databases("default")
def test_bad_messages_from_another_broker_end_no_worker(toy_place: Site):
    assert_kept(bad_messages.prove(toy_place, count=250, seed=SEED))


@on_databases("default", "postgres")
def test_a_member_of_a_chord_costs_the_same_however_large_the_chord(place: Site):
    assert_kept(groups.prove(place.server, members=1000, seed=SEED))


def test_a_broken_promise_shows():
    ledger = Ledger("a proof")
    ledger.enter(lost=1)
    ledger.promise("nothing is lost", False, "task 7")
    with pytest.raises(AssertionError, match="BROKEN  nothing is lost: task 7"):
        assert_kept(ledger)
