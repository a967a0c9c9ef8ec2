"""Go's durations: time.ParseDuration (go1.26 src/time/format.go:1621)."""

from __future__ import annotations

import re

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

_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")


def nanoseconds(text: str) -> int:
    """The duration that Go reads from `text`: signed numbers with units, such as `1h30m` or `-1.5s`; also `0`.

    Raises ValueError for what Go refuses, and where it does for what 64 bits do not hold.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total = sum(_part(match) for match in _parts(unsigned))
    if total > LARGEST and not (text.startswith("-") and total == LARGEST + 1):
        raise ValueError("too long")
    return -total if text.startswith("-") else total


def _parts(text: str) -> list[re.Match[str]]:
    matches = list(_PART.finditer(text))
    if not matches or sum(len(match[0]) for match in matches) != len(text):
        raise ValueError("not a duration")
    return matches


def _part(match: re.Match[str]) -> int:
    whole, fraction, unit = match[1], match[2] or "", match[3]
    if unit not in NANOSECONDS or not (whole or fraction):
        raise ValueError("not a duration")
    if len(whole.lstrip("0")) > DIGITS:
        raise ValueError("too long")
    scale = NANOSECONDS[unit]
    # Digits beyond a nanosecond's are dropped; Go's own rounding, in float64, may differ by one nanosecond.
    kept = fraction[:DIGITS]
    return int(whole or "0") * scale + (int(kept) * scale // 10 ** len(kept) if kept else 0)
