"""Histograms: close enough, and added up without loss."""

import random

import pytest

from django_machinery.histogram import LAST, SHORTEST, Histogram


@pytest.mark.parametrize("part", [0.5, 0.95, 0.99])
def test_a_percentile_is_off_by_a_tenth_at_the_most(part: float):
    dice = random.Random(1)
    durations = sorted(dice.lognormvariate(-3, 2) for _ in range(2000))
    exact = durations[int(part * len(durations)) - 1]
    assert Histogram.of(durations).percentile(part) == pytest.approx(exact, rel=0.1)


def test_text_goes_there_and_back_and_sums_are_those_of_all():
    first, second = Histogram.of([0.001, 0.2, 0.2]), Histogram.of([30.0, 0.2])
    assert str(Histogram([str(first)])) == str(first)
    assert str(Histogram([str(first), "", str(second)])) == str(Histogram.of([0.001, 0.2, 0.2, 30.0, 0.2]))


def test_the_text_is_short_and_in_order():
    assert str(Histogram.of([1.0, 0.0, 1.0, SHORTEST])) == "0:2,56:2"


def test_of_nothing_there_is_no_percentile():
    assert Histogram().percentile(0.5) is None
    assert (Histogram().count, str(Histogram())) == (0, "")


def test_the_longest_is_never_less_than_it_was():
    assert 3.0 <= Histogram.of([0.1, 3.0]).longest < 3.0 * 1.2


def test_what_cannot_be_is_counted_too():
    assert str(Histogram.of([-5.0, 1e30])) == f"0:1,{LAST}:1"
