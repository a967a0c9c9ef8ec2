"""The figures as a table for people, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.benchmarks.contenders import Entry, Role
from tests.benchmarks.figures import METRICS, Figures, Metric, medians, ratio

TITLES = {"postgres": "PostgreSQL", "redis": "Redis", "sqlite": "SQLite"}


def as_json(
    entries: Sequence[Entry], measured: Mapping[str, Sequence[Figures]], context: Mapping[str, Any]
) -> dict[str, Any]:
    """All rounds of all contenders, their medians, and where they come from."""
    contenders = [
        {
            "name": entry.name,
            "role": entry.role.value,
            "engine": entry.engine,
            "caveat": entry.caveat,
            "medians": medians(measured[entry.key]),
            "rounds": list(measured[entry.key]),
        }
        for entry in entries
    ]
    return {**context, "contenders": contenders}


def as_text(
    entries: Sequence[Entry], measured: Mapping[str, Sequence[Figures]], context: Mapping[str, Any]
) -> Iterator[str]:
    """Lines of Markdown: a table a database, then where the figures come from."""
    for engine, title in TITLES.items():
        if found := [entry for entry in entries if entry.engine == engine]:
            yield from (
                "",
                f"## {title}",
                "",
                *_table(found, {entry.key: medians(measured[entry.key]) for entry in found}),
            )
            yield ""
            yield from (f"- {entry.name}: {entry.caveat}." for entry in found if entry.caveat)
    yield ""
    for title, value in context.items():
        yield f"- {title}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, Mapping) else value}"


def _table(entries: Sequence[Entry], values: Mapping[str, Figures]) -> Iterator[str]:
    heads = ["", *(entry.name for entry in entries), "of the floor", "of the best peer"]
    yield _row(heads)
    yield _row(["---", *["---:"] * (len(heads) - 1)])
    for metric in METRICS:
        own, floor, peers = (_values(role, entries, values, metric) for role in (Role.PRODUCT, Role.FLOOR, Role.PEER))
        ratios = [ratio(metric.best(own), metric.best(other)) for other in (floor, peers)]
        cells = [_number(values[entry.key][metric.key]) for entry in entries]
        yield _row([metric.title, *cells, *(_times(value) for value in ratios)])


def _values(role: Role, entries: Sequence[Entry], values: Mapping[str, Figures], metric: Metric) -> list[float]:
    found = [values[entry.key][metric.key] for entry in entries if entry.role is role]
    return [value for value in found if value is not None]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"x {value:.2g}"
