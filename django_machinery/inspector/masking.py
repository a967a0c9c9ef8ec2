"""Hides what must not be shown: arguments by the name of their parameter, and secrets in texts.

A name is hidden that has one of the words of `MASKED` in it, whatever its case and the `_` and `-` between, and one
that its task declares by `@task(sensitive=...)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django_machinery.conf import redact
from django_machinery.conf.keys import MASKED
from django_machinery.conf.urls import HIDDEN

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Arg, Signature
    from django_machinery.registry import Registry

_SHORTEST = 4
"""Characters: in texts, shorter values are found as whole words only, and only those that a task declares."""


def is_masked(name: str, words: Collection[str] = MASKED) -> bool:
    """Is the value of that name to be hidden?"""
    plain = _plain(name)
    return any(_plain(word) in plain for word in words)


def shown_args(signature: Signature, registry: Registry, words: Collection[str] = MASKED) -> list[tuple[str, str]]:
    """The arguments of a task for people: the parameter's name, or the index where it has none, and the value as JSON.

    Hidden values are `HIDDEN`, also those under a hidden name within a JSON object.
    """
    return [
        (name, HIDDEN if hidden else _shown(arg, words)) for name, hidden, arg in _named(signature, registry, words)
    ]


def mask_text(text: str, words: Collection[str] = MASKED, secrets: Collection[str] = ()) -> str:
    """An error or a traceback without the passwords of URLs, without what follows a hidden name, and without `secrets`.

    `password=x`, `"api_key": "x"` and `Authorization: Bearer x` keep their names.
    """
    text = without(text, secrets)
    text = _assignment(tuple(words)).sub(lambda found: f"{found['name']}{HIDDEN}", text)
    return redact(text) if "://" in text else text


def without(text: str, secrets: Collection[str]) -> str:
    """A text with `secrets` hidden: short ones where they are whole words."""
    if not secrets:
        return text
    longest_first = sorted(secrets, key=len, reverse=True)
    return re.sub("|".join(map(_found, longest_first)), HIDDEN, text)


def secrets_of(signature: Signature, registry: Registry, words: Collection[str] = MASKED) -> set[str]:
    """The hidden values of a task's arguments, as texts that may occur in its errors."""
    found: set[str] = set()
    declared = _declared(signature, registry)
    for name, hidden, arg in _named(signature, registry, words):
        leaves = _leaves(_value(arg), words, hidden=hidden)
        found.update(leaf for leaf in leaves if name in declared or len(leaf) >= _SHORTEST)
    return found


def _named(signature: Signature, registry: Registry, words: Collection[str]) -> Iterator[tuple[str, bool, Arg]]:
    definition = registry.find(signature.name)
    args = signature.args or ()
    names = [arg.name for arg in args] if definition is None else definition.parameters.names_for(args)
    sensitive = _declared(signature, registry)
    for index, (name, arg) in enumerate(zip(names, args, strict=True)):
        yield name or str(index), name in sensitive or is_masked(name, words), arg


def _declared(signature: Signature, registry: Registry) -> Collection[str]:
    definition = registry.find(signature.name)
    return definition.sensitive if definition is not None else ()


def _value(arg: Arg) -> Any:
    try:
        return json.loads(bytes(arg.value))
    except ValueError:
        return bytes(arg.value).decode(errors="replace")


def _shown(arg: Arg, words: Collection[str]) -> str:
    return json.dumps(_masked(_value(arg), words), ensure_ascii=False)


def _masked(value: Any, words: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {key: HIDDEN if is_masked(key, words) else _masked(item, words) for key, item in value.items()}
    return [_masked(item, words) for item in value] if isinstance(value, list) else value


def _leaves(value: Any, words: Collection[str], *, hidden: bool) -> Iterator[str]:
    """The texts of what is hidden in a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, words, hidden=hidden or is_masked(key, words))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, words, hidden=hidden)
    elif hidden and not isinstance(value, bool | None) and (text := str(value)):
        yield text
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]


def _found(secret: str) -> str:
    """The pattern that finds it."""
    pattern = re.escape(secret)
    return pattern if len(secret) >= _SHORTEST else rf"(?<!\w){pattern}(?!\w)"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


@lru_cache(maxsize=32)
def _assignment(words: tuple[str, ...]) -> re.Pattern[str]:
    """A name with a hidden word in it, `=` or `:`, and in group `name` all that stays."""
    any_word = "|".join("[_-]?".join(map(re.escape, re.split("[_-]", word))) for word in words)
    name = rf"(?P<name>[\"']?[\w-]*(?:{any_word})[\w-]*[\"']?\s*[=:]\s*(?:(?:Bearer|Basic|Token)\s+)?)"
    value = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&)\]}]+)"
    return re.compile(name + value, re.IGNORECASE)
