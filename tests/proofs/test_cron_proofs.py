"""The proofs about cron specs at the size of CI; they need no database."""

import pytest

from django_machinery.cron import activations
from tests.proofs import cron_brute, cron_fuzz, cron_golden, dst
from tests.proofs.ledger import Ledger

SEED = 1


def assert_kept(ledger: Ledger) -> None:
    assert not ledger.broken, str(ledger)


def test_answers_are_those_of_robfig_cron_away_from_changes_of_offset():
    assert_kept(cron_golden.prove())


def test_ticks_of_ten_years_are_those_that_brute_force_finds():
    assert_kept(cron_brute.prove(count=4, processes=1, seed=SEED))


def test_made_up_specs_are_refused_or_have_ticks_and_words_and_cost_little():
    assert_kept(cron_fuzz.prove(count=20_000, seed=SEED))


def test_the_policies_hold_at_changes_of_offset():
    assert_kept(dst.prove(count=15, processes=1, seed=SEED))


@pytest.mark.parametrize("wrong", ["next", "both"])
def test_a_difference_would_show(wrong: str, monkeypatch: pytest.MonkeyPatch):
    """The proofs compare with something that is not the package: break the package, and they say so."""
    broken = {"next": "GAP_NEXT", "both": "OVERLAP_FIRST"}[wrong]
    monkeypatch.setattr(activations, broken, "never asked for")
    assert cron_brute.compare("Europe/Berlin")[1]
    assert dst.tried("Europe/Berlin")[1]
