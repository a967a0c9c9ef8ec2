"""From the scheme of a URL to the class behind it.

Drivers are named by dotted paths and imported when a server is built: none of them, and no optional library, is loaded
by importing the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from django_machinery.conf.keys import ServerConfig
from django_machinery.conf.reading import nearest
from django_machinery.conf.urls import parse_url, redact
from django_machinery.exceptions import ConfigurationError

Kind = Literal["broker", "backend", "lock"]

KINDS: Mapping[Kind, str] = {"broker": "broker", "backend": "result_backend", "lock": "lock"}
"""The kinds of drivers, each with the attribute of `ServerConfig` that holds its URL."""

_REDIS = {
    "broker": "django_machinery.drivers.redis.broker.RedisBroker",
    "backend": "django_machinery.drivers.redis.backend.RedisBackend",
    "lock": "django_machinery.drivers.redis.lock.RedisLock",
    "extra": "redis",
}

DRIVERS: Mapping[str, Mapping[str, str]] = {
    "eager": {
        "broker": "django_machinery.drivers.eager.broker.EagerBroker",
        "backend": "django_machinery.drivers.eager.backend.EagerBackend",
        "lock": "django_machinery.drivers.eager.lock.EagerLock",
    },
    "null": {"backend": "django_machinery.drivers.null.backend.NullBackend"},
    "orm": {
        "broker": "django_machinery.drivers.orm.broker.OrmBroker",
        "backend": "django_machinery.drivers.orm.backend.OrmBackend",
        "lock": "django_machinery.drivers.orm.lock.OrmLock",
    },
    "redis": _REDIS,
    "redis+socket": _REDIS,
    "rediss": _REDIS,
}
"""scheme -> kind -> dotted path of the class, called as `cls(url, config)`; "extra" names the extra that it needs."""

ORIGINALS: Mapping[str, tuple[Kind, ...]] = {
    "amqp": ("broker", "backend"),
    "amqps": ("broker", "backend"),
    "gcppubsub": ("broker",),
    "https": ("broker", "backend"),
    "memcache": ("backend",),
    "mongodb": ("backend",),
    "mongodb+srv": ("backend",),
}
"""What else the original has, by scheme; `https` is SQS or DynamoDB. (Go: factories.go)"""


def driver_path(scheme: str, kind: Kind, config: ServerConfig) -> tuple[str, str]:
    """The dotted path of a driver's class and the extra that it needs ("": none); `config.drivers` come first.

    Raises ConfigurationError that names the nearest scheme, or those that there are.
    """
    known = {name: {**DRIVERS.get(name, {}), **config.drivers.get(name, {})} for name in {*DRIVERS, *config.drivers}}
    paths = known.get(scheme, {})
    if kind not in paths:
        schemes = [name for name, offered in known.items() if kind in offered]
        if kind in ORIGINALS.get(scheme, ()):
            text = f"The {kind} of Go's machinery for the scheme {scheme!r} is not part of this version"
            raise ConfigurationError(f"{text}. There are: {', '.join(sorted(schemes))}.")
        raise ConfigurationError(f"There is no {kind} for the scheme {scheme!r}. {nearest(scheme, schemes)}")
    return paths[kind], paths.get("extra", "")


def load_driver(kind: Kind, config: ServerConfig) -> type[Any]:
    """The class behind the URL that `config` has for that kind of driver.

    Raises ConfigurationError: an unknown scheme, a path that leads nowhere, or an extra that is not installed.
    """
    url = getattr(config, KINDS[kind])
    try:
        path, extra = driver_path(parse_url(url)[0], kind, config)
        return _import_class(path, extra)
    except ConfigurationError as error:
        where = f"MACHINERY[{config.alias!r}][{KINDS[kind].upper()!r}] = {redact(url)!r}"
        raise ConfigurationError(f"{where}: {error}") from error


def _import_class(path: str, extra: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise ConfigurationError(_missing(path, error.name or "", extra)) from error
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise ConfigurationError(f"{path} is not a class.")
    return found


def _missing(path: str, module: str, extra: str) -> str:
    if path.startswith(f"{module}."):
        return f"{path} cannot be imported: there is no module {module!r}."
    if extra:
        return f"{path} needs the extra: pip install 'django-machinery[{extra}]'"
    return f"{path} needs the module {module!r}, which is not installed."
