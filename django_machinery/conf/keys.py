"""The table of settings. `ServerConfig` is the table: parsing, system checks and the documentation are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar

from django_machinery.conf.kinds import (
    ARGUMENTS,
    COUNT,
    COUNT_OR_ZERO,
    DRIVER_MAP,
    DURATION,
    FLAG,
    NAME,
    NAMES,
    QUEUE,
    QUEUES,
    TEXT,
    URL,
    WAIT,
    WEIGHTS,
    WHOLE_SECONDS,
    Kind,
)
from django_machinery.conf.urls import redact
from django_machinery.protocol.codec import DEFAULT_LIMITS, Limits

T = TypeVar("T")

_limits = lru_cache(maxsize=64)(Limits)  # asked for with each message

MASKED = (
    *("password", "passwd", "passphrase", "secret", "token", "api_key", "access_key", "private_key"),
    *("authorization", "credential", "cookie", "csrf", "session_key", "card_number", "cvv"),
)
"""Words in the names of values that are not shown."""


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
    default_queue: str = _key("machinery_tasks", QUEUE, "The queue of tasks that name none.", "DefaultQueue")
    queues: tuple[str, ...] = _key(
        (),
        QUEUES,
        "The queues that `runworker` consumes, the most urgent first. Empty: `DEFAULT_QUEUE`.",
        "NewCustomQueueWorker(queue)",
    )
    queue_weights: Mapping[str, int] = _key(
        {},
        WEIGHTS,
        "Which of its queues a worker asks first is drawn by lot each time, by these weights; a queue that is not "
        "named weighs 1. Empty: always in the order of `QUEUES`.",
    )
    program_name: str = _key(
        "",
        TEXT,
        "What tells programs apart in the keys of periodic locks: the name of the Go program that shares them. Empty: "
        "as in Go, the file name of what was started, such as `manage.py`.",
        "filepath.Base(os.Args[0])",
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
    mask: tuple[str, ...] = _key(
        MASKED,
        NAMES,
        "Arguments whose name has one of these words in it are not shown, in the admin, in logs and in errors.",
    )
    stats: bool = _key(
        True, FLAG, "Workers record figures for the admin's charts: every 10 seconds what they did, in one statement."
    )
    notify_dsn: str = _key(
        "",
        TEXT,
        "PostgreSQL: a direct connection for LISTEN, as a libpq string, where the database is reached through a pooler "
        "such as PgBouncer. Empty: the database's own settings.",
    )

    redis_max_idle: int = _key(10, COUNT_OR_ZERO, "Redis: the most idle connections that are kept.", "Redis.MaxIdle")
    redis_max_active: int = _key(
        0,
        COUNT_OR_ZERO,
        "Redis: the most connections, apart from those that wait for messages. 0: any number.",
        "Redis.MaxActive",
    )
    redis_idle_timeout: float = _key(
        240.0, WAIT, "Redis: the seconds after which an idle connection is closed. 0: never.", "Redis.IdleTimeout"
    )
    redis_wait: bool = _key(
        True,
        FLAG,
        "Redis: wait for a connection, up to `REDIS_CONNECT_TIMEOUT`, when all are in use.",
        "Redis.Wait",
    )
    redis_read_timeout: float = _key(
        2.0,
        DURATION,
        "Redis: how long an answer may take, in seconds; never longer than half of `LEASE`, or two seconds.",
        "Redis.ReadTimeout",
    )
    redis_write_timeout: float = _key(
        2.0,
        DURATION,
        "Redis: how long sending may take, in seconds. The longer one of the two counts for both.",
        "Redis.WriteTimeout",
    )
    redis_connect_timeout: float = _key(
        2.0,
        DURATION,
        "Redis: how long connecting may take, in seconds; bounded as an answer is.",
        "Redis.ConnectTimeout",
    )
    redis_normal_tasks_poll_period: int | None = _key(
        None,
        COUNT | None,
        "Redis: the longest wait for a message, in milliseconds. None: a second. A message ends the wait.",
        "Redis.NormalTasksPollPeriod",
    )
    redis_delayed_tasks_poll_period: int | None = _key(
        None,
        COUNT | None,
        "Redis: milliseconds between two looks at the delayed messages. None: when the next one is due, and every 40.",
        "Redis.DelayedTasksPollPeriod",
    )
    redis_delayed_tasks_key: str = _key(
        "delayed_tasks", NAME, "Redis: the key of the delayed messages.", "Redis.DelayedTasksKey"
    )
    redis_client_name: str = _key("", TEXT, "Redis: what `CLIENT LIST` calls the connections.", "Redis.ClientName")
    redis_master_name: str = _key(
        "", TEXT, "Redis: the hosts of the URL are Sentinels, and this is the master they watch.", "Redis.MasterName"
    )
    redis_sentinel_password: str = _key(
        "", TEXT, "Redis: the password that the Sentinels ask for.", "Redis.SentinelPassword"
    )
    redis_cluster_enabled: bool = _key(
        False, FLAG, "Redis: a URL with one host names a Cluster, as one with several does.", "Redis.ClusterEnabled"
    )
    redis_tls_ca: str = _key(
        "", TEXT, "Redis: the file with the authorities whose servers are trusted. Empty: the system's.", "TLSConfig"
    )
    redis_tls_cert: str = _key("", TEXT, "Redis: the file with the client's certificate.", "TLSConfig")
    redis_tls_key: str = _key("", TEXT, "Redis: the file with the key of the client's certificate.", "TLSConfig")
    redis_tls_check_hostname: bool = _key(
        True, FLAG, "Redis: the server's certificate has to name the host of the URL.", "TLSConfig"
    )
    redis_priorities: bool = _key(
        False,
        FLAG,
        "Redis: messages with a priority wait apart and come first. Go workers, who know no priorities here, never see "
        "those messages.",
    )

    multiple_broker_separator: str = _key(
        "", TEXT, "AMQP: what stands between the URLs of several brokers in `BROKER`.", "MultipleBrokerSeparator"
    )
    amqp_exchange: str = _key(
        "machinery_exchange", TEXT, "AMQP: the exchange that messages are sent to.", "AMQP.Exchange"
    )
    amqp_exchange_type: str = _key("direct", NAME, "AMQP: the type of the exchange.", "AMQP.ExchangeType")
    amqp_queue_declare_args: Mapping[str, Any] = _key(
        {}, ARGUMENTS, "AMQP: further arguments with which queues are declared.", "AMQP.QueueDeclareArgs"
    )
    amqp_queue_binding_args: Mapping[str, Any] = _key(
        {}, ARGUMENTS, "AMQP: further arguments with which queues are bound to the exchange.", "AMQP.QueueBindingArgs"
    )
    amqp_binding_key: str = _key(
        "machinery_task", TEXT, "AMQP: the key that binds the default queue to the exchange.", "AMQP.BindingKey"
    )
    amqp_prefetch_count: int = _key(
        3, COUNT_OR_ZERO, "AMQP: how many messages a worker holds before they run. 0: any number.", "AMQP.PrefetchCount"
    )
    amqp_auto_delete: bool = _key(
        False, FLAG, "AMQP: queues of delayed messages end with their last consumer.", "AMQP.AutoDelete"
    )
    amqp_delayed_queue: str = _key(
        "", TEXT, "AMQP: the queue of the delayed messages. Empty: one for each delay.", "AMQP.DelayedQueue"
    )
    sqs_wait_time_seconds: int = _key(
        0, COUNT_OR_ZERO, "SQS: how long a request waits for messages, in seconds.", "SQS.WaitTimeSeconds"
    )
    sqs_visibility_timeout: int | None = _key(
        None,
        COUNT_OR_ZERO | None,
        "SQS: how long a message that was received is hidden, in seconds. None: what the queue itself says.",
        "SQS.VisibilityTimeout",
    )
    sqs_visibility_heartbeat: bool = _key(
        False, FLAG, "SQS: messages stay hidden for as long as their task runs.", "SQS.VisibilityHeartBeat"
    )
    task_states_table: str = _key(
        "task_states", NAME, "DynamoDB: the table of the tasks' states.", "DynamoDB.TaskStatesTable"
    )
    group_metas_table: str = _key("group_metas", NAME, "DynamoDB: the table of the groups.", "DynamoDB.GroupMetasTable")

    @property
    def limits(self) -> Limits:
        """The bounds within which messages are decoded."""
        return _limits(self.max_message_bytes, self.max_message_depth, self.max_message_elements)

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

    @property
    def secret(self) -> bool:
        """Is no value of it to be shown, whatever it looks like?"""
        return any(word in self.attribute for word in MASKED)


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
