"""Exceptions of tasks as text: what a state keeps of them. Bounded, and never a second exception."""

from __future__ import annotations

import traceback as tracebacks
from types import TracebackType

LONGEST = 64 * 1024
"""Characters of an error or of a traceback."""
DEEPEST = 100
"""Frames of a traceback: the innermost, where the error is."""


def error_text(error: BaseException) -> str:
    """What the exception says, or its type's name where it says nothing; as Go keeps `err.Error()`."""
    try:
        said = str(error)
    except Exception:
        said = ""
    return _cut(said or type(error).__qualname__)


def type_path(error: BaseException) -> str:
    """The dotted path of the exception's type; only the name for a built-in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, from the task's own frame on, without local variables."""
    try:
        lines = tracebacks.format_exception(type(error), error, _of_task(error.__traceback__), limit=-DEEPEST)
    except Exception:
        return ""
    text = "".join(lines)
    return text if len(text) <= LONGEST else f"...\n{text[-LONGEST:]}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _of_task(traceback: TracebackType | None) -> TracebackType | None:
    """Without the frames of this package at the top. An exception that was raised only by these keeps them."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith("django_machinery.worker."):
        inner = inner.tb_next
    return inner or traceback
