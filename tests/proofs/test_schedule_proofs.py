"""The proofs of schedules at the size of CI."""

import pytest

from tests.databases import on_databases
from tests.proofs import missed, ticks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site

BUSY = 2.0
"""Seconds that half the ticks may be late beside other tests; `tests/worker/test_scheduling.py` has those at idle."""


def assert_kept(ledger: Ledger) -> None:
    assert not ledger.broken, str(ledger)


@pytest.mark.timeout(240)
@on_databases("default", "postgres")
def test_every_tick_is_sent_once_while_workers_are_killed(place: Site):
    assert_kept(ticks.prove(place, seconds=8, schedules=20, workers=2, kill_every=4.0, late=BUSY, seed=1))


@pytest.mark.timeout(240)
@on_databases("default")
def test_every_tick_reaches_a_broker_elsewhere_once_while_workers_are_killed(toy_place: Site):
    assert_kept(ticks.prove(toy_place, seconds=5, schedules=10, workers=2, kill_every=3.0, late=BUSY, seed=1))


@on_databases("default")
def test_what_was_missed_is_sent_as_the_policies_say_after_a_minute_to_a_month(place: Site):
    assert_kept(missed.prove(place, specs=3, most=700))
