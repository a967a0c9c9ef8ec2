"""Retries are spaced as the original spaces them."""

import itertools
import json

from django_machinery.protocol.retry import fibonacci, fibonacci_next
from tests.protocol.golden_data import FOLDER

GOLDEN = json.loads((FOLDER / "fibonacci.json").read_text())


def test_the_sequence_is_the_originals():
    assert list(itertools.islice(fibonacci(), len(GOLDEN["sequence"]))) == GOLDEN["sequence"]


def test_the_timeout_after_each_is_the_originals():
    assert [[start, fibonacci_next(start)] for start, _ in GOLDEN["next"]] == GOLDEN["next"]


def test_twelve_retries_wait_as_long_as_the_originals():
    for start, expected in GOLDEN["retry_timeouts_from"].items():
        waits = [int(start)]
        while len(waits) <= 12:
            waits.append(fibonacci_next(waits[-1]))
        assert waits[1:] == expected
