"""The figures as Markdown for people, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.benchmarks.contenders import Entry, Role
from tests.benchmarks.figures import METRICS, Figures, Metric, medians, ratio
from tests.benchmarks.rounds import Measured

TITLES = {"postgres": "PostgreSQL", "redis": "Redis", "sqlite": "SQLite"}
COMPARED = {Role.FLOOR: "of the floor", Role.ORIGINAL: "of the original", Role.PEER: "of the best peer"}


def as_json(entries: Sequence[Entry], measured: Mapping[str, Measured], context: Mapping[str, Any]) -> dict[str, Any]:
    """All rounds of all contenders, their medians, and where they come from."""
    contenders = [
        {
            "name": entry.name,
            "role": entry.role.value,
            "engine": entry.engine,
            "caveat": entry.caveat,
            "share": entry.share,
            "medians": medians(measured[entry.key].figures),
            "rounds": measured[entry.key].figures,
            "failures": measured[entry.key].failures,
        }
        for entry in entries
    ]
    return {**context, "contenders": contenders}


def as_text(entries: Sequence[Entry], measured: Mapping[str, Measured], context: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown: for each store a table of figures and one of ratios, then where the figures come from."""
    for engine, title in TITLES.items():
        if found := [entry for entry in entries if entry.engine == engine]:
            values = {entry.key: medians(measured[entry.key].figures) for entry in found}
            yield from ("", f"## {title}", "", *_figures(found, values), "", *_ratios(found, values), "")
            yield from (line for entry in found for line in _notes(entry, measured[entry.key]))
    yield ""
    for name, value in context.items():
        yield f"- {name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, Mapping) else value}"


def _figures(entries: Sequence[Entry], values: Mapping[str, Figures]) -> Iterator[str]:
    yield from _head(["", *(entry.name for entry in entries)])
    for metric in METRICS:
        yield _row([metric.title, *(_number(values[entry.key][metric.key]) for entry in entries)])


def _ratios(entries: Sequence[Entry], values: Mapping[str, Figures]) -> Iterator[str]:
    """The product's figures as multiples of the best of each kind of others."""
    roles = [role for role in COMPARED if any(entry.role is role for entry in entries)]
    yield from _head(["django_machinery", *(COMPARED[role] for role in roles)])
    for metric in METRICS:
        own = metric.best(_values(Role.PRODUCT, entries, values, metric))
        others = [metric.best(_values(role, entries, values, metric)) for role in roles]
        yield _row([metric.title, *(_times(ratio(own, other)) for other in others)])


def _notes(entry: Entry, measured: Measured) -> Iterator[str]:
    """What is to be known of a contender's figures."""
    known = [entry.caveat] if entry.caveat else []
    if entry.share != 1:
        known.append(f"drains and sends in bulk {entry.share:g} times as many tasks")
    if measured.failures:
        known.append(f"FAILED {'; '.join(measured.failures)}")
    if known:
        yield f"- {entry.name}: {'; '.join(known)}."


def _values(role: Role, entries: Sequence[Entry], values: Mapping[str, Figures], metric: Metric) -> list[float]:
    found = [values[entry.key][metric.key] for entry in entries if entry.role is role]
    return [value for value in found if value is not None]


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield _row(["---", *["---:"] * (len(cells) - 1)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"x {value:.2g}"
