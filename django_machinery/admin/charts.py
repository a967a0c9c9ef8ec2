"""Charts as numbers: where the bars of an inline SVG stand. The template writes them as presentation attributes.

The drawing is stretched to the room there is; the numbers of the axes are text beside it, and stay readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.utils.formats import number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

WIDTH, HEIGHT = 720, 160
"""Of the drawing, in units of its own."""
TIMES = 6
"""How many times stand below it."""


class Point(Protocol):
    """What happened in one interval."""

    @property
    def at(self) -> datetime: ...
    @property
    def succeeded(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def retried(self) -> int: ...


@dataclass(frozen=True)
class Rect:
    """A part of a bar: `kind` is its series."""

    kind: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Bar:
    """One interval: its parts, the strip that reacts to the pointer, and what it says."""

    x: str
    width: str
    rects: list[Rect]
    title: str


@dataclass(frozen=True)
class Chart:
    """Stacked bars over time."""

    bars: list[Bar]
    values: list[str]
    """Beside the drawing, from the top down."""
    times: list[str]
    """Below it, each in the middle of its share."""
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    middle: int = HEIGHT // 2


def chart(points: Sequence[Point], window: timedelta) -> Chart:
    """The chart of throughput and failures."""
    top = nice(max((sum(_values(point)) for point in points), default=0))
    slot = WIDTH / max(1, len(points))
    return Chart(
        bars=[_bar(point, index, slot, top, window) for index, point in enumerate(points)],
        values=[number_format(value, force_grouping=True) for value in (top, top // 2, 0)],
        times=_times(points, window),
        summary=_summary(points),
    )


def nice(most: int) -> int:
    """The end of an axis that holds `most`: 2, 4, 10, 20, 40, 100, ..., so that its half is whole."""
    scale = 1
    while True:
        for step in (2, 4, 10):
            if most <= step * scale:
                return step * scale
        scale *= 10


def _values(point: Point) -> tuple[int, int, int]:
    return point.succeeded, point.retried, point.failed


def _bar(point: Point, index: int, slot: float, top: int, window: timedelta) -> Bar:
    x, width = index * slot, slot * 0.78
    rects, used = [], 0.0
    for kind, value in zip(("success", "retry", "failure"), _values(point), strict=True):
        height = HEIGHT * value / top
        if value:
            height = max(height, 1.5)  # a single failure among thousands stays visible
            used += height
            y = max(0.0, HEIGHT - used)
            rects.append(Rect(kind, _text(x + (slot - width) / 2), _text(y), _text(width), _text(height)))
    title = _("%(at)s: %(succeeded)s succeeded, %(failed)s failed, %(retried)s retried") % {
        "at": _clock(point.at, window),
        "succeeded": number_format(point.succeeded),
        "failed": number_format(point.failed),
        "retried": number_format(point.retried),
    }
    return Bar(_text(x), _text(slot), rects, title)


def _times(points: Sequence[Point], window: timedelta) -> list[str]:
    """The middles of equal shares of the time."""
    share = len(points) / TIMES
    return [_clock(points[int((index + 0.5) * share)].at, window) for index in range(TIMES)] if points else []


def _summary(points: Sequence[Point]) -> str:
    return _("%(succeeded)s succeeded, %(failed)s failed, %(retried)s retried") % {
        "succeeded": number_format(sum(point.succeeded for point in points)),
        "failed": number_format(sum(point.failed for point in points)),
        "retried": number_format(sum(point.retried for point in points)),
    }


def _clock(at: datetime, window: timedelta) -> str:
    return localtime(at).strftime("%a %H:%M" if window > timedelta(days=1) else "%H:%M")


def _text(number: float) -> str:
    """A coordinate: never with a decimal comma, which a locale may bring."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
