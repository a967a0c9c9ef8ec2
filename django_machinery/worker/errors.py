"""Exceptions of tasks as text: what a state keeps of them. Bounded, storable everywhere, never a second exception."""

from __future__ import annotations

import traceback as tracebacks
from types import TracebackType
from typing import TYPE_CHECKING

from django_machinery.inspector.masking import mask_text, without
from django_machinery.protocol.storable import storable

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST = 64 * 1024
"""Characters of an error or of a traceback."""
LONGEST_PATH = 255
"""Characters of the path of a type."""
DEEPEST = 100
"""Frames of a traceback: the innermost, where the error is."""


class Concealed(Exception):
    """Stands for an exception that tells what must not be shown: with its type's name, its frames, and masked texts."""

    kind: type[BaseException]
    """What it stands for."""

    def __init__(self, error: BaseException, words: Collection[str], secrets: Collection[str]) -> None:
        super().__init__(mask_text(_said(error), words, secrets))
        self.kind = type(error)
        self.type_path = type_path(error)
        self.printed = mask_text(_printed(error), words, secrets)
        self.__traceback__ = error.__traceback__


def concealed(error: BaseException, words: Collection[str], secrets: Collection[str]) -> BaseException:
    """The exception itself, unless it or one that led to it tells one of the secrets."""
    if not secrets:
        return error
    told = _said(error) + _printed(error)
    return _named_like(type(error))(error, words, secrets) if without(told, secrets) != told else error


def error_text(error: BaseException) -> str:
    """What the exception says, or its type's name where it says nothing; as Go keeps `err.Error()`."""
    return storable(_said(error))


def type_path(error: BaseException) -> str:
    """The dotted path of the exception's type; only the name for a built-in."""
    if isinstance(error, Concealed):
        return error.type_path
    kind = type(error)
    path = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return storable(path)[:LONGEST_PATH]


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, from the task's own frame on, without local variables."""
    return storable(_printed(error))


def _said(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:
        said = ""
    return _cut(said or type(error).__qualname__)


def _printed(error: BaseException) -> str:
    if isinstance(error, Concealed):
        return error.printed
    try:
        lines = tracebacks.format_exception(type(error), error, _of_task(error.__traceback__), limit=-DEEPEST)
    except Exception:
        return ""
    text = "".join(lines)
    return text if len(text) <= LONGEST else f"...\n{text[-LONGEST:]}"


def _named_like(kind: type[BaseException]) -> type[Concealed]:
    """A class that Python prints under the name of another."""
    return type(kind.__name__, (Concealed,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _of_task(traceback: TracebackType | None) -> TracebackType | None:
    """Without the frames of this package at the top. An exception that was raised only by these keeps them."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith("django_machinery.worker."):
        inner = inner.tb_next
    return inner or traceback
