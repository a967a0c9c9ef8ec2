"""Go's durations: time.ParseDuration (go1.26 src/time/format.go:1621)."""

from __future__ import annotations

import re
from collections.abc import Iterator

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LARGEST = 2**63 - 1
DIGITS = 20
"""Of a whole number; more, without leading zeros, are beyond LARGEST in any unit."""

_PART = re.compile(r"([0-9]*+)(?:\.([0-9]*+))?([^0-9.]++)")


def nanoseconds(text: str) -> int:
    """The duration that Go reads from `text`: signed numbers with units, such as `1h30m` or `-1.5s`; also `0`.

    Raises ValueError for what Go refuses, and where it does for what 64 bits do not hold.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total = sum(map(_part, _parts(unsigned)))
    if total > LARGEST and not (text.startswith("-") and total == LARGEST + 1):
        raise ValueError("too long")
    return -total if text.startswith("-") else total


def _parts(text: str) -> Iterator[re.Match[str]]:
    """Numbers with their units, at least one."""
    end = 0
    while end < len(text) or not end:
        match = _PART.match(text, end)
        if match is None:
            raise ValueError("not numbers with units")
        yield match
        end = match.end()


def _part(match: re.Match[str]) -> int:
    whole, fraction, unit = match[1].lstrip("0"), match[2] or "", match[3]
    if unit not in NANOSECONDS or not (match[1] or fraction):
        raise ValueError("not numbers with units")
    if len(whole) > DIGITS:
        raise ValueError("too long")
    scale = NANOSECONDS[unit]
    # Digits beyond a nanosecond's are dropped; Go's own rounding, in float64, may differ by one nanosecond.
    kept = fraction[:DIGITS]
    return int(whole or "0") * scale + (int(kept) * scale // 10 ** len(kept) if kept else 0)
