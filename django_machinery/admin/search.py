"""What the search box of the task states understands, and how far it looks.

There is no index over arguments, errors, queues and workers: those are looked for in the newest `WINDOW` rows that
the indexed filters leave.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.db.models import Model, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from django_machinery.admin.shown import Shown
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers

if TYPE_CHECKING:
    from django_machinery.models import TaskState
    from django_machinery.server import Server

WINDOW = 100_000
"""The newest rows that are searched without an index."""
HITS = 1_000
"""A search ends when it has found so many."""
DECODED = 5_000
"""Signatures that one search decodes at most, to look at single arguments."""

Row = TypeVar("Row", bound=Model)

_UUID = re.compile(r"(?:\w+_)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_TEXTS = {"worker": "worker", "args": "signature"}


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
            elif kind == "queue" and value:
                scanned &= Q(queue=value)
            elif kind == "error" and value:
                scanned &= _contains("error", value) | Q(uuid__in=_failed_by(value))
            elif kind in _TEXTS and value:
                scanned &= _contains(_TEXTS[kind], value)
            elif kind.startswith("args.") and value:
                arguments.append(Argument(tuple(kind.split(".")[1:]), value))
                scanned &= _contains("signature", _innermost(value))
            else:
                scanned &= _contains("signature", word) | _contains("error", word)
        return cls(indexed, scanned, tuple(arguments))

    def narrow(self, rows: QuerySet[TaskState]) -> QuerySet[TaskState]:
        """The rows that match: of those without an index the newest `HITS` within the window."""
        rows = rows.filter(self.indexed)
        if not self.scanned:
            return rows
        found = newest(rows).filter(self.scanned).order_by("-id")
        ids = _matching(found, self.arguments) if self.arguments else found.values_list("id", flat=True)[:HITS]
        return rows.filter(id__in=list(ids))


def newest(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The newest `WINDOW` of these rows."""
    edge = rows.order_by("-id").values_list("id", flat=True)[WINDOW : WINDOW + 1].first()
    return rows if edge is None else rows.filter(id__gt=edge)


def usable_servers() -> list[Server]:
    """The servers of the settings, less those whose settings or libraries do not serve here."""
    found = []
    for alias in servers:
        with suppress(MachineryError):
            found.append(servers[alias])
    return found


def known_names() -> list[str]:
    """The tasks that this process knows, of all servers."""
    return sorted({name for server in usable_servers() for name in server.get_registered_task_names()})


def _words(term: str) -> Sequence[str]:
    try:
        return shlex.split(term)
    except ValueError:  # a quote that is not closed
        return term.split()


def _contains(column: str, text: str) -> Q:
    """To the letter on every engine; on PostgreSQL also faster than LIKE, which would look at every character."""
    return Q(GreaterThan(StrIndex(column, Value(text)), 0))


def _uuid(text: str) -> Q:
    return Q(uuid=text) | Q(uuid=f"task_{text}") | Q(group_uuid=text)


def _names(text: str) -> list[str]:
    """A name to the letter, and the known ones that contain it."""
    return [text, *(name for name in known_names() if text in name)]


def _failed_by(text: str) -> list[str]:
    """The tasks, of the newest attempts, whose exception has the text in its dotted path."""
    from django_machinery.models import Attempt

    attempts = newest(Attempt.objects.all()).filter(_contains("exception", text)).order_by("-id")
    return list(attempts.values_list("uuid", flat=True)[:HITS])


def _innermost(text: str) -> str:
    """What of a value is in the signature's text as it stands: JSON would escape other characters."""
    pieces: list[str] = re.findall(r"[\w .,:/@+-]+", text, re.ASCII)
    return max(pieces, key=len, default="")


def _matching(rows: QuerySet[TaskState], arguments: Sequence[Argument]) -> list[int]:
    """The ids of rows with such arguments."""
    columns = rows.values_list("id", "server", "signature")[:DECODED]
    found = (id for id, server, signature in columns if _has(Shown(server, signature), arguments))
    return list(islice(found, HITS))


def _has(shown: Shown, arguments: Sequence[Argument]) -> bool:
    values = dict(shown.arguments or ())
    return all(_holds(values, argument) for argument in arguments)


def _holds(values: dict[str, str], argument: Argument) -> bool:
    """Is the text in the value of that parameter, or in what is under these keys of it?"""
    shown = values.get(argument.path[0])
    if shown is None or len(argument.path) == 1:
        return shown is not None and argument.text in shown
    value: Any = json.loads(shown)
    for key in argument.path[1:]:
        value = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value is not _ABSENT and argument.text in json.dumps(value, ensure_ascii=False)


_ABSENT = object()
