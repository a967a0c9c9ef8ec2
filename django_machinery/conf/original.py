"""The original's configuration: its environment variables and its YAML file (Go: config/env.go, config/file.go).

A setting that the original has is read under the original's name, every other one from the variable MACHINERY_<KEY>, or
from its name in lower case in the file. What is empty, or zero where zero cannot be meant, is the default, as in Go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django_machinery.conf.keys import KEYS, Key
from django_machinery.conf.kinds import ARGUMENTS
from django_machinery.exceptions import ConfigurationError

SECTIONS = ("amqp", "dynamodb", "redis", "sqs")
OTHER_NAMES = {
    "GROUP_METAS_TABLE": "dynamodb.group_metas_table",
    "REDIS_IDLE_TIMEOUT": "redis.max_idle_timeout",
    "SQS_VISIBILITY_HEARTBEAT": "sqs.visibility_hearth_beat",
    "SQS_VISIBILITY_TIMEOUT": "sqs.receive_visibility_timeout",
    "SQS_WAIT_TIME_SECONDS": "sqs.receive_wait_time_seconds",
    "TASK_STATES_TABLE": "dynamodb.task_states_table",
}
"""In the file, section and name, where that is not the name of the variable."""
OTHER_VARIABLES = {"MULTIPLE_BROKER_SEPARATOR": "MULTIPLE_BROKEN_SEPARATOR"}
"""Variables that the original calls otherwise than the setting."""
WITHOUT_MEANING = frozenset({"no_unix_signals"})
"""What the original's file may have and there is no use for here."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
"""Go: strconv.ParseBool."""


def from_environment() -> dict[str, Any]:
    """The settings of one server, for MACHINERY, from environment variables. Needs the extra `environ`.

    Raises ConfigurationError, which names the variable.
    """
    try:
        import environ
    except ModuleNotFoundError as error:
        raise ConfigurationError("from_environment needs the extra: pip install 'django-machinery[environ]'") from error

    # Not by env.str(): to that, a value that begins with "$" is the name of another variable.
    given = environ.Env.ENVIRON
    texts = {key.name: given.get(variable(key), "") for key in KEYS.values()}
    values = {name: _read(KEYS[name], text) for name, text in texts.items() if text}
    return {name: value for name, value in values.items() if not _is_gos_zero(KEYS[name], value)}


def variable(key: Key) -> str:
    """The environment variable that holds a setting."""
    return OTHER_VARIABLES.get(key.name, key.name) if is_originals(key) else f"MACHINERY_{key.name}"


def name_in_file(key: Key) -> str:
    """What the original's file calls a setting: `default_queue`, or `redis.max_idle` for what is in a section."""
    if key.name in OTHER_NAMES:
        return OTHER_NAMES[key.name]
    section, _, name = key.name.lower().partition("_")
    return f"{section}.{name}" if section in SECTIONS else key.name.lower()


def is_originals(key: Key) -> bool:
    """Does the original read that setting from its environment and its file?"""
    plain = ("Broker", "DefaultQueue", "Lock", "MultipleBrokerSeparator", "ResultBackend", "ResultsExpireIn")
    return key.go in plain or key.go.startswith(("AMQP.", "DynamoDB.", "Redis.", "SQS."))


def from_document(values: Any, texts: Any) -> tuple[dict[str, Any], list[str]]:
    """The settings of one server from the original's YAML file, and the names in it that mean nothing here.

    `texts` is the document with its scalars as they are written: to Go these are the values of settings that are text.

    Raises ConfigurationError.
    """
    if not isinstance(texts, Mapping):
        raise ConfigurationError("The file holds no settings: it must be a mapping of names to values.")
    settings = {}
    unknown = []
    for name, value, text in _flat(values, texts):
        if name in NAMES_IN_FILE:
            key = NAMES_IN_FILE[name]
            given = text if _is_text(key, text) else value
            if given is not None and not _is_gos_zero(key, given):
                settings[key.name] = given
        elif name not in WITHOUT_MEANING:
            unknown.append(name)
    return settings, unknown


def _flat(values: Mapping[Any, Any], texts: Mapping[Any, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Names, the ones in sections as `redis.max_idle`, with values and texts. An empty section holds none."""
    for name, text in texts.items():
        if name not in SECTIONS:
            yield str(name), values.get(name), text
        elif isinstance(text, Mapping):
            for inner, inner_text in text.items():
                yield f"{name}.{inner}", values[name].get(inner), inner_text
        elif text is not None:
            raise ConfigurationError(f"The section {name!r} of the file must be a mapping of names to values.")


def _is_text(key: Key, text: Any) -> bool:
    return (key.kind.of is str and isinstance(text, str)) or (key.kind.of is list and isinstance(text, list))


def _read(key: Key, text: str) -> Any:
    try:
        if key.kind.of is bool:
            return _flag(text)
        if key.kind.of is list:
            return [part.strip() for part in text.split(",")]
        if key.kind is ARGUMENTS:
            return _arguments(text)
        if key.kind.of is dict:
            return {name.strip(): int(number) for name, _, number in (part.partition("=") for part in text.split(","))}
        return key.kind.of(text)
    except ValueError:
        raise ConfigurationError(f"The environment variable {variable(key)} must be {key.kind.words}.") from None


def _arguments(text: str) -> dict[str, str]:
    """Pairs, as in `x-match:any,format:pdf` (Go: QueueBindingArgs.Decode)."""
    return dict(pair.split(":") for pair in text.split(","))  # ValueError where one is no pair


def _flag(text: str) -> bool:
    if text not in _TRUE + _FALSE:
        raise ValueError
    return text in _TRUE


def _is_gos_zero(key: Key, value: Any) -> bool:
    """A zero in Go means the default; here only where the setting takes none."""
    if value == "":
        return True
    if value != 0 or isinstance(value, bool) or not is_originals(key):
        return False
    try:
        key.kind.convert(value)
    except ValueError:
        return True
    return False


NAMES_IN_FILE: Mapping[str, Key] = {
    **{key.name.lower(): key for key in KEYS.values() if not is_originals(key)},
    **{name_in_file(key): key for key in KEYS.values()},
}
"""The settings by their names in the original's file; what the original lacks also by its key alone."""
