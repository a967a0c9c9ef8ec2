"""The table of settings. `ServerConfig` is the table: parsing, system checks and the documentation are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from django_machinery.conf.kinds import (
    COUNT,
    COUNT_OR_ZERO,
    DRIVER_MAP,
    DURATION,
    NAME,
    NAMES,
    TEXT,
    URL,
    WAIT,
    WHOLE_SECONDS,
    Kind,
)
from django_machinery.conf.urls import redact
from django_machinery.protocol.codec import DEFAULT_LIMITS, Limits

T = TypeVar("T")


def _key(default: T, kind: Kind, doc: str, go: str = "") -> T:
    metadata = {"kind": kind, "doc": doc, "go": go}
    if isinstance(default, dict):
        return field(default_factory=lambda: default, hash=False, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerConfig:
    """The settings of one server: an alias of `MACHINERY`. Durations are in seconds."""

    alias: str = "default"
    broker: str = _key("orm://default", URL, "Where messages wait for workers.", "Broker")
    result_backend: str = _key("orm://default", URL, "Where states and results are kept.", "ResultBackend")
    lock: str = _key("orm://default", URL, "Where locks are kept.", "Lock")
    default_queue: str = _key("machinery_tasks", NAME, "The queue of tasks that name none.", "DefaultQueue")
    queues: tuple[str, ...] = _key(
        (),
        NAMES,
        "The queues that `runworker` consumes, the most urgent first. Empty: `DEFAULT_QUEUE`.",
        "NewCustomQueueWorker(queue)",
    )
    database: str = _key("default", NAME, "The database alias that holds the app's own tables, for every broker.")
    drivers: Mapping[str, Mapping[str, str]] = _key(
        {}, DRIVER_MAP, "Further URL schemes, each with the dotted paths of its classes."
    )
    results_expire_in: int | None = _key(
        None,
        WHOLE_SECONDS | None,
        "How long states and results are kept, in seconds. None: 3600, as Go, in stores that expire by themselves; in "
        "the database 7 days for successes and 30 days for failures.",
        "ResultsExpireIn",
    )
    concurrency: int | None = _key(
        None,
        COUNT_OR_ZERO | None,
        "How many tasks a worker process runs at once. None: twice the number of CPUs, as Go on Redis; 0: as many as "
        "there are to run, up to `MAX_THREADS`.",
        "NewWorker(concurrency)",
    )
    max_threads: int = _key(64, COUNT, "The most threads of a worker process whose concurrency is 0.")
    shutdown_timeout: float = _key(
        25.0, WAIT, "How long a worker that was asked to stop waits for running tasks, in seconds."
    )
    lease: float = _key(
        10.0, DURATION, "How long a silent worker process keeps its messages, in seconds; renewed every 3/10 of it."
    )
    max_crashes: int = _key(
        3, COUNT, "A message that ended its process this often becomes a dead letter and its task fails."
    )
    max_message_bytes: int = _key(DEFAULT_LIMITS.max_bytes, COUNT, "The largest message that is decoded, in bytes.")
    max_message_depth: int = _key(
        DEFAULT_LIMITS.max_depth,
        COUNT,
        "The most signatures within signatures, and lists or objects within one value, that are decoded.",
    )
    max_message_elements: int = _key(
        DEFAULT_LIMITS.max_elements, COUNT, "The most JSON values in a message that is decoded."
    )
    notify_dsn: str = _key(
        "",
        TEXT,
        "PostgreSQL: a direct connection for LISTEN, as a libpq string, where the database is reached through a pooler "
        "such as PgBouncer. Empty: the database's own settings.",
    )

    @property
    def limits(self) -> Limits:
        """The bounds within which messages are decoded."""
        return Limits(self.max_message_bytes, self.max_message_depth, self.max_message_elements)

    def __repr__(self) -> str:
        urls = ", ".join(redact(url) for url in (self.broker, self.result_backend, self.lock))
        return f"<ServerConfig {self.alias!r}: {urls}>"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting of the table."""

    name: str
    """As written in `MACHINERY`: BROKER."""
    kind: Kind
    default: Any
    go: str
    """Its counterpart in Go's config.Config; empty where there is none."""
    doc: str

    @property
    def attribute(self) -> str:
        """Its name in `ServerConfig`."""
        return self.name.lower()


KEYS: Mapping[str, Key] = {
    f.name.upper(): Key(
        f.name.upper(),
        f.metadata["kind"],
        f.default if f.default is not MISSING else {},
        f.metadata["go"],
        f.metadata["doc"],
    )
    for f in fields(ServerConfig)
    if f.metadata
}
