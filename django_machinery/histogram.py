"""Histograms of durations with logarithmic buckets: small, and added up without loss."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Self

SHORTEST = 2**-14
"""Seconds up to which durations are told apart no more: about 60 microseconds."""
PER_OCTAVE = 4
"""Buckets between a duration and twice that: a percentile is off by 9 % at the most."""
LAST = 40 * PER_OCTAVE
"""The bucket of all that is longer than two years."""


class Histogram:
    """How many durations fell into which bucket.

    Bucket 0 holds those of up to `SHORTEST` seconds, bucket i those of up to `SHORTEST * 2 ** (i / PER_OCTAVE)`. As
    text: `bucket:count` in the order of the buckets, with commas between, the empty ones left out: "0:12,31:5".
    """

    __slots__ = ("_counts",)

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """The sum of histograms as text."""
        counts: dict[str, int] = {}
        for text in texts:
            for pair in text.split(",") if text else ():
                bucket, count = pair.split(":")
                counts[bucket] = counts.get(bucket, 0) + int(count)
        self._counts: Counter[int] = Counter({int(bucket): count for bucket, count in counts.items()})

    @classmethod
    def of(cls, durations: Iterable[float]) -> Self:
        """The histogram of these durations, in seconds."""
        histogram = cls()
        for duration in durations:
            histogram.add(duration)
        return histogram

    def add(self, seconds: float) -> None:
        """Count one more duration."""
        bucket = 0 if seconds <= SHORTEST else math.ceil(math.log2(seconds / SHORTEST) * PER_OCTAVE)
        self._counts[min(bucket, LAST)] += 1

    @property
    def count(self) -> int:
        """How many durations there are."""
        return self._counts.total()

    def percentile(self, part: float) -> float | None:
        """The duration, in seconds, that `part` of all (0.95) do not exceed; None of none. The middle of its bucket."""
        wanted, seen = part * self.count, 0
        for bucket, count in sorted(self._counts.items()):
            seen += count
            if seen >= wanted:
                return _limit(bucket - 0.5) if bucket else SHORTEST
        return None

    @property
    def longest(self) -> float:
        """What no duration exceeds, in seconds: the upper limit of the highest bucket."""
        return _limit(max(self._counts, default=0))

    def __str__(self) -> str:
        return ",".join(f"{bucket}:{count}" for bucket, count in sorted(self._counts.items()))


def _limit(bucket: float) -> float:
    return float(SHORTEST * 2 ** (bucket / PER_OCTAVE))
