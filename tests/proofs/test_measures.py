"""What proofs of schedules measure by."""

import pytest

from tests.proofs import go_schedules
from tests.proofs.ledger import is_punctual


@pytest.mark.parametrize("every", [0.43, 0.47, 0.7])
def test_who_looks_every_so_often_whatever_is_due_is_not_punctual(every: float):
    assert not is_punctual([-second % every for second in range(200)])
    assert is_punctual([*(-second % every for second in range(20)), *[0.09] * 4, *[9.0] * 3])


@pytest.mark.parametrize(
    ("arrivals", "fired", "double"),
    [
        ([0.01, 1.02, 3.9], {0, 1, 3}, []),
        ([0.01, 0.9], {0, 1}, []),
        ([0.01, 2.1], {0, 1}, []),
        ([0.01, 1.01, 3.01, 3.02], {0, 1, 3}, [3.02]),
        ([0.01, 1.01, 2.01, 3.01], {0, 1, 3}, [2.01]),
        ([0.01, 9.01], {0}, []),
    ],
    ids=["on time", "a little early", "late", "twice", "ours too", "of another time"],
)
def test_how_the_original_s_messages_are_told_apart(arrivals: list[float], fired: set[int], double: list[float]):
    statuses = {0: "elsewhere", 1: "elsewhere", 2: "sent", 3: "elsewhere"}
    assert go_schedules.match(statuses, arrivals) == (fired, double)
