"""What the search box of the task states understands, and how far it looks.

There is no index over arguments, errors, queues and workers: those are looked for in the newest `WINDOW` rows that
the indexed filters leave.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q, QuerySet

from django_machinery.admin.shown import Shown
from django_machinery.handler import servers

if TYPE_CHECKING:
    from django_machinery.models import TaskState

WINDOW = 100_000
"""The newest rows that are searched without an index."""
HITS = 1_000
"""A search ends when it has found so many."""
DECODED = 5_000
"""Signatures that one search decodes at most, to look at single arguments."""

_UUID = re.compile(r"(?:\w+_)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_COLUMNS = {"error": "error__contains", "queue": "queue", "worker": "worker__contains", "args": "signature__contains"}


class Argument(NamedTuple):
    """`args.key:value`: a parameter, or a key inside of its value, and the text that it has to contain."""

    path: tuple[str, ...]
    text: str


class Query(NamedTuple):
    """A search, taken apart."""

    indexed: Q
    scanned: Q
    arguments: tuple[Argument, ...]

    @classmethod
    def parse(cls, term: str) -> Query:
        """UUIDs, `name:`, `error:`, `queue:`, `worker:`, `args:`, `args.key:`, and words to be found in arguments or
        errors; all have to match. Quotes hold words together."""
        indexed, scanned, arguments = Q(), Q(), []
        for word in _words(term):
            kind, _, value = word.partition(":")
            if _UUID.fullmatch(word) or (kind == "uuid" and value):
                indexed &= _uuid(value if kind == "uuid" else word)
            elif kind == "name" and value:
                indexed &= Q(name__in=_names(value))
            elif kind in _COLUMNS and value:
                scanned &= Q(**{_COLUMNS[kind]: value})
            elif kind.startswith("args.") and value:
                arguments.append(Argument(tuple(kind.split(".")[1:]), value))
                scanned &= Q(signature__contains=_innermost(value))
            else:
                scanned &= Q(signature__contains=word) | Q(error__contains=word)
        return cls(indexed, scanned, tuple(arguments))

    def narrow(self, rows: QuerySet[TaskState]) -> QuerySet[TaskState]:
        """The rows that match: of those without an index the newest `HITS` within the window."""
        rows = rows.filter(self.indexed)
        if not self.scanned:
            return rows
        found = newest(rows).filter(self.scanned).order_by("-id")
        ids = _matching(found, self.arguments) if self.arguments else found.values_list("id", flat=True)[:HITS]
        return rows.filter(id__in=list(ids))


def newest(rows: QuerySet[TaskState]) -> QuerySet[TaskState]:
    """The newest `WINDOW` of these rows."""
    edge = rows.order_by("-id").values_list("id", flat=True)[WINDOW : WINDOW + 1].first()
    return rows if edge is None else rows.filter(id__gt=edge)


def known_names() -> list[str]:
    """The tasks that this process knows, of all servers."""
    return sorted({name for alias in servers for name in servers[alias].get_registered_task_names()})


def _words(term: str) -> Sequence[str]:
    try:
        return shlex.split(term)
    except ValueError:  # a quote that is not closed
        return term.split()


def _uuid(text: str) -> Q:
    return Q(uuid=text) | Q(uuid=f"task_{text}") | Q(group_uuid=text)


def _names(text: str) -> list[str]:
    """A name to the letter, and the known ones that contain it."""
    return [text, *(name for name in known_names() if text in name)]


def _innermost(text: str) -> str:
    """What of a value is in the signature's text as it stands: JSON would escape other characters."""
    pieces: list[str] = re.findall(r"[\w .,:/@+-]+", text, re.ASCII)
    return max(pieces, key=len, default="")


def _matching(rows: QuerySet[TaskState], arguments: Sequence[Argument]) -> Iterator[int]:
    """The ids of rows with such arguments."""
    hits = 0
    for row in rows.only("id", "server", "signature")[:DECODED].iterator(chunk_size=500):
        if _has(row, arguments):
            hits += 1
            yield row.id
        if hits == HITS:
            return


def _has(row: TaskState, arguments: Sequence[Argument]) -> bool:
    values = dict(Shown.of(row).arguments or ())
    return all(_contains(values, argument) for argument in arguments)


def _contains(values: dict[str, Any], argument: Argument) -> bool:
    """Is the text in the value of that parameter, or under that key in it?"""
    shown = values.get(argument.path[0])
    if shown is None:
        return False
    for key in argument.path[1:]:
        found = re.search(rf'"{re.escape(key)}":\s*("(?:[^"\\]|\\.)*"|[^,}}\]]+)', shown)
        if found is None:
            return False
        shown = found.group(1)
    return argument.text in shown
