"""Values of every type, as Go's machinery converts them, or refuses to (golden/reflect.jsonl)."""

from dataclasses import dataclass

from tests.protocol.golden_data import ANNOTATIONS, lines, raw_member, rows


@dataclass(frozen=True)
class Converted:
    """An argument, and what a task that returns it stores: a type and JSON, or an error."""

    type: str
    raw: bytes
    """The value as JSON, whose text counts: 1.0 is not 1."""
    go_type: str = ""
    json: str = ""
    error: str = ""


_ALL = [
    Converted(row["type"], raw_member(line, "value"), row.get("go_type", ""), row.get("json", ""), row.get("error", ""))
    for row, line in zip(rows("reflect"), lines("reflect"), strict=True)
    if "panic" not in row
]

CONVERTED = [case for case in _ALL if case.json and case.type in ANNOTATIONS]
REFUSED = [case for case in _ALL if case.error and not case.go_type and case.type in ANNOTATIONS][:6:2]
"""A few: each costs a worker of the original."""
