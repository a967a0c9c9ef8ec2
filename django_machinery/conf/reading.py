"""From `settings.MACHINERY` to `ServerConfig`, and what is wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_machinery.conf.keys import KEYS, Key, ServerConfig
from django_machinery.conf.kinds import URL, shown
from django_machinery.exceptions import ConfigurationError


class Fault(Enum):
    """The kinds of problems that settings can have."""

    SHAPE = "shape"
    """MACHINERY, or an alias of it, is not a dict."""
    NO_DEFAULT = "no default"
    """MACHINERY has aliases, but no "default"."""
    UNKNOWN_KEY = "unknown key"
    UNKNOWN_NAME = "unknown name"
    """A file names what is no setting: another program may read it."""
    WRONG_VALUE = "wrong value"
    BAD_URL = "bad URL"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in `settings.MACHINERY`."""

    fault: Fault
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.hint}".rstrip()


def aliases() -> list[str]:
    """The aliases of all servers. Raises ConfigurationError when MACHINERY is not a dict of them."""
    if problem := _shape_problem():
        raise ConfigurationError(str(problem))
    return list(_configured())


@cache
def server_config(alias: str = "default") -> ServerConfig:
    """The settings of one server. Raises ConfigurationError, which tells all that is wrong with them."""
    if alias not in aliases():
        raise ConfigurationError(f"MACHINERY has no server {alias!r}. {nearest(alias, aliases())}".rstrip())
    if found := list(_problems_of(alias)):
        raise ConfigurationError("\n".join(map(str, found)))
    given = {KEYS[key].attribute: KEYS[key].kind.convert(value) for key, value in _configured()[alias].items()}
    return ServerConfig(alias=alias, **given)


def problems() -> Iterator[Problem]:
    """All that is wrong with the settings, drivers aside."""
    if problem := _shape_problem():
        yield problem
        return
    for alias in _configured():
        yield from _problems_of(alias)


def server_problems(where: str, given: Any) -> Iterator[Problem]:
    """All that is wrong with what is given for one server; `where` says where it is given."""
    if not isinstance(given, Mapping):
        yield Problem(Fault.SHAPE, f"{where} must be a dict of settings, not {shown(given)}.")
        return
    for name, value in given.items():
        if name not in KEYS:
            yield Problem(Fault.UNKNOWN_KEY, f"{where} has an unknown key {name!r}.", nearest(str(name), list(KEYS)))
        elif not _accepts(KEYS[name], value):
            yield _wrong_value(where, KEYS[name], value)


def nearest(word: str, known: list[str]) -> str:
    """A hint: what was probably meant, or what there is."""
    if match := closest(word, known):
        return f"Did you mean {match!r}?"
    return f"There are: {', '.join(sorted(known))}." if known else ""


def closest(word: str, known: list[str]) -> str | None:
    """What was probably meant, if anything was."""
    matches = get_close_matches(word.lower(), [name.lower() for name in known], 1)
    return next((name for name in known if matches == [name.lower()]), None)


def _configured() -> Any:
    return getattr(settings, "MACHINERY", None) or {"default": {}}


def _shape_problem() -> Problem | None:
    configured = _configured()
    if not isinstance(configured, Mapping):
        return Problem(Fault.SHAPE, f"MACHINERY must be a dict of servers, not {shown(configured)}.")
    if "default" not in configured:
        return Problem(Fault.NO_DEFAULT, 'MACHINERY has no server "default".', 'Name one of its servers "default".')
    for alias in configured:
        if not isinstance(alias, str):
            return Problem(Fault.SHAPE, f"The names of the servers in MACHINERY must be text, not {shown(alias)}.")
    return None


def _problems_of(alias: str) -> Iterator[Problem]:
    return server_problems(f"MACHINERY[{alias!r}]", _configured()[alias])


def _accepts(key: Key, value: Any) -> bool:
    try:
        key.kind.convert(value)
    except ValueError:
        return False
    return True


def _wrong_value(where: str, key: Key, value: Any) -> Problem:
    fault = Fault.BAD_URL if key.kind is URL else Fault.WRONG_VALUE
    given = type(value).__name__ if key.secret else shown(value)
    return Problem(fault, f"{where}[{key.name!r}] must be {key.kind.words}, not {given}.")


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "MACHINERY":
        server_config.cache_clear()
