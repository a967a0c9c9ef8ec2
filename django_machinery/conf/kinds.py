"""The kinds of values that settings have: what they accept, in words and in code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django_machinery.conf.urls import parse_url, redact_refused
from django_machinery.exceptions import ConfigurationError

LONGEST_QUEUE = 255
"""Characters of the name of a queue that the tables hold."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `convert` returns the value as a `ServerConfig` holds it and raises ValueError otherwise."""

    words: str
    """Fits "must be ..."."""
    convert: Callable[[Any], Any]
    of: type = str
    """What a text that stands for such a value is to be read as."""

    def __or__(self, other: None) -> Kind:
        """The same kind, or None."""
        return Kind(f"{self.words}, or None", lambda value: None if value is None else self.convert(value), self.of)


def _url(value: Any) -> str:
    try:
        parse_url(_text(value))
    except ConfigurationError as error:
        raise ValueError from error
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _name(value: Any) -> str:
    if not _text(value) or value != value.strip():
        raise ValueError
    return _text(value)


def _queue(value: Any) -> str:
    if len(_name(value)) > LONGEST_QUEUE:
        raise ValueError
    return _name(value)


def _list_of(convert: Callable[[Any], str]) -> Callable[[Any], tuple[str, ...]]:
    def convert_all(value: Any) -> tuple[str, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise ValueError
        return tuple(map(convert, value))

    return convert_all


def _seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    try:
        seconds = float(value)
    except OverflowError as error:
        raise ValueError from error
    if not math.isfinite(seconds):
        raise ValueError
    return seconds


def _at_least(least: float, convert: Callable[[Any], Any], *, open_end: bool = False) -> Callable[[Any], Any]:
    def convert_in_range(value: Any) -> Any:
        converted = convert(value)
        if converted < least or (open_end and converted == least):
            raise ValueError
        return converted

    return convert_in_range


def _whole_seconds(value: Any) -> int:
    seconds = _seconds(value)
    if seconds != int(seconds):
        raise ValueError
    return int(seconds)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _drivers(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, Mapping):
        raise ValueError
    return {_name(scheme): _driver(paths) for scheme, paths in value.items()}


def _weights(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError
    return {_queue(queue): _at_least(1, _count)(weight) for queue, weight in value.items()}


def _arguments(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    if not all(isinstance(argument, str | bool | int | float) for argument in value.values()):
        raise ValueError
    return {_name(name): argument for name, argument in value.items()}


def _driver(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value.keys() <= {"broker", "backend", "lock", "extra"}:
        raise ValueError
    return {kind: _name(path) for kind, path in value.items()}


def shown(value: Any) -> str:
    """A value fit for a message: short, and without secrets."""
    if isinstance(value, str):
        return repr(redact_refused(value))
    if isinstance(value, int) and value.bit_length() > 256:  # Python refuses to write thousands of digits
        return f"an int of {value.bit_length()} bits"
    return repr(value) if value is None or isinstance(value, bool | int | float | timedelta) else type(value).__name__


URL = Kind("a URL: scheme://...", _url)
TEXT = Kind("text", _text)
NAME = Kind("a name: text without spaces at its ends", _name)
NAMES = Kind("a list of names", _list_of(_name), list)
QUEUE = Kind(f"the name of a queue: up to {LONGEST_QUEUE} characters without spaces at their ends", _queue)
QUEUES = Kind(f"a list of names of queues, each of up to {LONGEST_QUEUE} characters", _list_of(_queue), list)
DURATION = Kind("a number of seconds above 0, or a timedelta", _at_least(0, _seconds, open_end=True), float)
WAIT = Kind("a number of seconds from 0 on, or a timedelta", _at_least(0, _seconds), float)
WHOLE_SECONDS = Kind("a whole number of seconds from 1 on, or a timedelta", _at_least(1, _whole_seconds), int)
COUNT = Kind("a whole number from 1 on", _at_least(1, _count), int)
FLAG = Kind("True or False", _flag, bool)
COUNT_OR_ZERO = Kind("a whole number from 0 on", _at_least(0, _count), int)
WEIGHTS = Kind('a dict {"queue": a whole number from 1 on}', _weights, dict)
ARGUMENTS = Kind('a dict {"name": text, a number, True or False}', _arguments, dict)
DRIVER_MAP = Kind('a dict {"scheme": {"broker": "dotted.Class", "backend": ..., "lock": ..., "extra": ...}}', _drivers)
