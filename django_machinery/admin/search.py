"""What the search box of the task states understands, and how far it looks.

There is no index over arguments, errors, queues and workers: those are looked for in the newest `WINDOW` rows that
the indexed filters leave.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.db.models import Model, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from django_machinery.admin.shown import Shown
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers
from django_machinery.protocol.json_text import encode_string

if TYPE_CHECKING:
    from django_machinery.models import TaskState
    from django_machinery.server import Server

WINDOW = 100_000
"""The newest rows that are searched without an index."""
HITS = 1_000
"""A search ends when it has found so many."""
DECODED = 5_000
"""Signatures that one search decodes at most: what contains the text may contain it outside of the arguments."""

Row = TypeVar("Row", bound=Model)

_UUID = re.compile(r"(?:\w+_)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_TEXTS = {"worker": "worker"}


class Argument(NamedTuple):
    """`args.key:value`: a parameter, or a key inside of its value, and the text that it has to contain.

    Without a path any value may contain it; `or_error`: or the error of the task.
    """

    path: tuple[str, ...]
    text: str
    or_error: bool = False


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
            elif kind.partition(".")[0] == "args" and value:
                arguments.append(Argument(tuple(kind.split(".")[1:]), value))
                scanned &= _contains("signature", _stored(value))
            else:
                arguments.append(Argument((), word, or_error=True))
                scanned &= _contains("signature", _stored(word)) | _contains("error", word)
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


def _stored(text: str) -> str:
    """A text as the signature's JSON has it, with Go's escapes."""
    return encode_string(text).decode()[1:-1]


def _matching(rows: QuerySet[TaskState], arguments: Sequence[Argument]) -> list[int]:
    """The ids of rows with such arguments."""
    columns = rows.values_list("id", "server", "signature", "error")[:DECODED]
    found = (id for id, server, signature, error in columns if _has(Shown(server, signature), error, arguments))
    return list(islice(found, HITS))


def _has(shown: Shown, error: str, arguments: Sequence[Argument]) -> bool:
    values = shown.arguments or []
    return all(
        (argument.or_error and argument.text in error) or _holds(values, argument.path, argument.text)
        for argument in arguments
    )


def _holds(values: Sequence[tuple[str, str]], path: Sequence[str], text: str) -> bool:
    """Is the text in any value, or in that of a parameter, or in what is under these keys of it?"""
    if not path:
        return any(_tells(value, text) for _name, value in values)
    return any(_tells(value, text, path[1:]) for name, value in values if name == path[0])


def _tells(shown: str, text: str, keys: Sequence[str] = ()) -> bool:
    """Is the text in a value as it is shown, JSON or `***`, or in one of the texts within?"""
    try:
        value: Any = json.loads(shown)
    except ValueError:
        return not keys and text in shown
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return text in json.dumps(value, ensure_ascii=False) or any(text in leaf for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    """The texts in a value, keys included, as they are."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
