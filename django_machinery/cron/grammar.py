"""The five fields of a spec, checked by robfig/cron's rules (v3.0.1 parser.go:231-335) and written for croniter.

croniter reads more than robfig/cron (L, W, #, hashes, ranges that wrap) and means other things by some of it, so it is
handed plain numbers only. Nothing is expanded before its bounds are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django_machinery.exceptions import CronError

INT64_DIGITS = 19
SHOWN = 40
"""How many characters of a bad value an error quotes."""

_INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Checked:
    """A field that may be expanded."""

    spans: tuple[str, ...]
    """Each `*`, `first`, `first-last` or `first-last/step`, in numbers within the bounds. None: no value is allowed."""
    star: bool
    """Whether one of them was `*` or `?` at every step: then this field does not restrict the days."""


@dataclass(frozen=True, slots=True)
class Field:
    """One place of a spec."""

    title: str
    first: int
    last: int
    names: Mapping[str, int] = field(default_factory=dict)
    alias: int | None = None
    """A value above `last` that croniter takes for `first`."""

    def check(self, text: str) -> Checked:
        """Raises CronError, which says what is wrong with which part of the field.

        As in the original, empty parts of a list count for nothing, and what follows `*-` is not looked at.
        """
        spans: dict[str, None] = {}
        star = False
        for part in filter(None, text.split(",")):
            span, is_star = self._part(part)
            spans[span] = None
            star = star or is_star
        return Checked(("*",) if "*" in spans else tuple(spans), star)

    def _part(self, part: str) -> tuple[str, bool]:
        range_, *steps = part.split("/")
        ends = range_.split("-")
        if len(steps) > 1:
            raise self._error(part, "has more than one slash")
        step = self._integer(steps[0], part) if steps else 1
        if ends[0] in ("*", "?"):
            first, last, star = self.first, self.last, step == 1
        else:
            first, last = self._range(ends, part, open_ended=bool(steps))
            star = False
        self._bounds(first, last, step, part)
        return self._span(first, last, step), star

    def _range(self, ends: list[str], part: str, open_ended: bool) -> tuple[int, int]:
        if len(ends) > 2:
            raise self._error(part, "has more than one hyphen")
        first = self._value(ends[0], part)
        if len(ends) == 2:
            return first, self._value(ends[1], part)
        if open_ended and first == self.alias:
            raise self._error(part, f"no step goes on from {first}: begin with {self.first}")
        return first, max(first, self.last) if open_ended else first

    def _value(self, text: str, part: str) -> int:
        named = self.names.get(text.lower())
        return self._integer(text, part) if named is None else named

    def _integer(self, text: str, part: str) -> int:
        """As strconv.Atoi: signs and leading zeros, ASCII digits, 64 bits."""
        if not _INTEGER.fullmatch(text):
            raise self._error(part, f"{_quoted(text)} is not a number" + (" or a name" if self.names else ""))
        digits = text.lstrip("+-").lstrip("0")
        if len(digits) > INT64_DIGITS or int(digits or "0") >= 2**63:
            raise self._error(part, f"{_quoted(text)} is too large a number")
        if text.startswith("-") and digits:
            raise self._error(part, f"{_quoted(text)} is negative")
        return int(digits or "0")

    def _bounds(self, first: int, last: int, step: int, part: str) -> None:
        highest = self.last if self.alias is None else self.alias
        if first < self.first:
            raise self._error(part, f"{first} is below {self.first}")
        if last > highest:
            raise self._error(part, f"{last} is above {highest}")
        if first > last:
            raise self._error(part, f"the range ends ({last}) before it begins ({first})")
        if step == 0:
            raise self._error(part, "the step is 0")

    def _span(self, first: int, last: int, step: int) -> str:
        if step > last - first:
            return str(first)
        if step > 1:
            return f"{first}-{last}/{step}"
        return "*" if (first, last) == (self.first, self.last) else f"{first}-{last}"

    def _error(self, part: str, reason: str) -> CronError:
        return CronError(f"{self.title}: {_quoted(part)}: {reason}")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _numbered(names: str, start: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    Field("day of week", 0, 6, _numbered("sun mon tue wed thu fri sat", 0), alias=7),
)
