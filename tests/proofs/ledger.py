"""What a proof has counted, and which promises did not hold."""

from statistics import median
from typing import Any


class Ledger:
    """Entries in the order in which they were made, and the promises that were put to the test."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.entries: dict[str, Any] = {}
        self.kept: list[str] = []
        self.broken: list[str] = []

    def enter(self, **entries: Any) -> None:
        """Note figures; underscores in their names stand for spaces."""
        self.entries |= {name.replace("_", " "): value for name, value in entries.items()}

    def promise(self, text: str, holds: bool, evidence: Any = "") -> None:
        """Note whether a promise holds; `evidence` is shown where it does not."""
        if holds:
            self.kept.append(text)
        else:
            self.broken.append(f"{text}: {evidence}" if evidence else text)

    def __str__(self) -> str:
        width = max(map(len, self.entries), default=0)
        lines = [self.title]
        lines += [f"  {name:<{width}}  {_text(value)}" for name, value in self.entries.items()]
        lines += [f"  kept    {text}" for text in self.kept]
        lines += [f"  BROKEN  {text}" for text in self.broken]
        return "\n".join(lines)


def percentile(values: list[float], part: float) -> float:
    """The value below or at which `part` of all lie; of few values the largest."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def is_punctual(delays: list[float], most: float = 0.1) -> bool:
    """Were ticks ever, for as long as seven of them, mostly that many seconds late or less?"""
    return any(median(delays[start : start + 7]) <= most for start in range(len(delays) - 6))


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
