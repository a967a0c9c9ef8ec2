"""The original's configuration: its environment variables and its YAML file (Go: config/env.go, config/file.go).

A setting that the original has is read under the original's name, every other one from the variable MACHINERY_<KEY>, or
from its name in lower case in the file. What is empty, or zero where zero cannot be meant, is the default, as in Go.
What belongs to drivers that are not here is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django_machinery.conf.keys import KEYS, Key
from django_machinery.conf.reading import nearest
from django_machinery.exceptions import ConfigurationError

SECTIONS = ("amqp", "dynamodb", "redis", "sqs")
OTHER_NAMES = {
    "dynamodb_group_metas_table": "GROUP_METAS_TABLE",
    "dynamodb_task_states_table": "TASK_STATES_TABLE",
    "redis_max_idle_timeout": "REDIS_IDLE_TIMEOUT",
    "sqs_receive_visibility_timeout": "SQS_VISIBILITY_TIMEOUT",
    "sqs_receive_wait_time_seconds": "SQS_WAIT_TIME_SECONDS",
    "sqs_visibility_hearth_beat": "SQS_VISIBILITY_HEARTBEAT",
}
"""In the file, section and name, where that is not the name of the variable."""
WITHOUT_MEANING = frozenset({"MULTIPLE_BROKER_SEPARATOR", "NO_UNIX_SIGNALS"})
"""What the original has and there is no use for here."""

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
    return key.name if is_originals(key) else f"MACHINERY_{key.name}"


def is_originals(key: Key) -> bool:
    """Does the original read that setting from its environment and its file?"""
    plain = ("Broker", "DefaultQueue", "Lock", "ResultBackend", "ResultsExpireIn")
    return key.go in plain or key.go.startswith(("AMQP.", "DynamoDB.", "Redis.", "SQS."))


def from_document(document: Any) -> dict[str, Any]:
    """The settings of one server from what the original's YAML file says. Raises ConfigurationError."""
    if not isinstance(document, Mapping):
        raise ConfigurationError("The file holds no settings: it must be a mapping of names to values.")
    values = {}
    for name, value in _flat(document):
        if name in KEYS and value is not None and not _is_gos_zero(KEYS[name], value):
            values[name] = value
        elif name not in KEYS and not _is_elsewhere(name):
            raise ConfigurationError(f"The file has an unknown name {name.lower()!r}. {nearest(name, list(KEYS))}")
    return values


def _flat(document: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in SECTIONS and isinstance(value, Mapping):
            for inner, held in value.items():
                path = f"{name}_{inner}"
                yield OTHER_NAMES.get(path, path.upper()), held
        else:
            yield str(name).upper(), value


def _is_elsewhere(name: str) -> bool:
    """Is it a name of the original for a driver that has no settings here, or one without meaning?"""
    section = name.partition("_")[0].lower()
    known = any(key.startswith(f"{section.upper()}_") for key in KEYS)
    return name in WITHOUT_MEANING or name in OTHER_NAMES.values() or (section in SECTIONS and not known)


def _read(key: Key, text: str) -> Any:
    try:
        if key.kind.of is bool:
            return _flag(text)
        if key.kind.of is list:
            return [part.strip() for part in text.split(",")]
        if key.kind.of is dict:
            return {name.strip(): int(number) for name, _, number in (part.partition("=") for part in text.split(","))}
        return key.kind.of(text)
    except ValueError:
        raise ConfigurationError(f"The environment variable {variable(key)} must be {key.kind.words}.") from None


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
