"""Kinds of option values: what argparse calls to convert and to refuse them."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from pathlib import Path


def names(text: str) -> tuple[str, ...]:
    """a,b -> ("a", "b")."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise ArgumentTypeError("names separated by commas are wanted")
    return found


def count(text: str) -> int:
    return _number(text, 1)


def count_or_zero(text: str) -> int:
    return _number(text, 0)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"a number of seconds is wanted, not {text!r}")
    return value


def moment(text: str) -> datetime:
    """Seconds from now, or a time with its offset: 2030-01-31T12:00:00+01:00."""
    try:
        return datetime.now(UTC) + timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"seconds from now, or an ISO time, are wanted, not {text!r}") from None
    if value.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no offset: write {text}Z, or {text}+01:00")
    return value


def touchable(text: str) -> Path:
    """A file that can be touched, which this does not do."""
    file = Path(text)
    if file.is_dir():
        raise ArgumentTypeError(f"{text!r} is a directory")
    if not (os.access(file, os.W_OK) if file.exists() else os.access(file.parent, os.W_OK | os.X_OK)):
        raise ArgumentTypeError(f"{text!r} cannot be written")
    return file


def _number(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ArgumentTypeError(f"a whole number from {least} on is wanted, not {text!r}")
    return int(text)
