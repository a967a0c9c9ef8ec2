"""Charts as numbers: where the bars of an inline SVG stand. The template writes them as presentation attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.utils.formats import number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

WIDTH, HEIGHT = 720, 160
"""Of the plot, in the units of the view box."""
LEFT, TOP, BOTTOM = 44, 8, 22
"""Room for the numbers of the axes."""


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
class Tick:
    """A line of an axis and its number."""

    position: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Stacked bars over time."""

    bars: list[Bar]
    rows: list[Tick]
    columns: list[Tick]
    summary: str
    width: int = LEFT + WIDTH
    height: int = TOP + HEIGHT + BOTTOM
    left: int = LEFT
    top: int = TOP
    base: int = TOP + HEIGHT
    plot: int = HEIGHT


def chart(points: Sequence[Point], window: timedelta) -> Chart:
    """The chart of throughput and failures."""
    top = nice(max((sum(_values(point)) for point in points), default=0))
    slot = WIDTH / max(1, len(points))
    return Chart(
        bars=[_bar(point, index, slot, top, window) for index, point in enumerate(points)],
        rows=[Tick(_text(TOP + HEIGHT * (1 - share)), number_format(round(top * share))) for share in (0, 0.5, 1)],
        columns=_columns(points, slot, window),
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
    x, width = LEFT + index * slot, max(1.0, slot * 0.78)
    rects, used = [], 0.0
    for kind, value in zip(("success", "retry", "failure"), _values(point), strict=True):
        height = HEIGHT * value / top
        if value:
            height = max(height, 1.5)  # a single failure among thousands stays visible
            used += height
            y = max(float(TOP), TOP + HEIGHT - used)
            rects.append(Rect(kind, _text(x + (slot - width) / 2), _text(y), _text(width), _text(height)))
    title = _("%(at)s: %(succeeded)s succeeded, %(failed)s failed, %(retried)s retried") % {
        "at": _clock(point.at, window),
        "succeeded": number_format(point.succeeded),
        "failed": number_format(point.failed),
        "retried": number_format(point.retried),
    }
    return Bar(_text(x), _text(slot), rects, title)


def _columns(points: Sequence[Point], slot: float, window: timedelta) -> list[Tick]:
    """Six times below the axis."""
    every = max(1, round(len(points) / 6))
    return [
        Tick(_text(LEFT + (index + 0.5) * slot), _clock(points[index].at, window))
        for index in range(every // 2, len(points), every)
    ]


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
