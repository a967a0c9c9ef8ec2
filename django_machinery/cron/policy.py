"""What becomes of wall times that a change of offset skips or repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Gap = Literal["skip", "next"]
Overlap = Literal["first", "both"]

GAP_SKIP: Gap = "skip"
GAP_NEXT: Gap = "next"
OVERLAP_FIRST: Overlap = "first"
OVERLAP_BOTH: Overlap = "both"


@dataclass(frozen=True, slots=True)
class DstPolicy:
    """The defaults keep a nightly task nightly: it runs once in every night.

    Specs whose hour field allows all 24 hours follow neither: they tick wherever the clock on the wall shows a time of
    theirs, so that a task of every five minutes goes on every five minutes. Raises ValueError for an unknown word.
    """

    gap: Gap = GAP_NEXT
    """Wall times that the clock skips. skip: no activation. next: one activation for all of them when the gap ends."""
    overlap: Overlap = OVERLAP_FIRST
    """Wall times that the clock shows twice. first: the first showing only. both: an activation at each."""

    def __post_init__(self) -> None:
        if self.gap not in get_args(Gap):
            raise ValueError(f"gap is {self.gap!r}: should be {GAP_SKIP!r} or {GAP_NEXT!r}")
        if self.overlap not in get_args(Overlap):
            raise ValueError(f"overlap is {self.overlap!r}: should be {OVERLAP_FIRST!r} or {OVERLAP_BOTH!r}")
