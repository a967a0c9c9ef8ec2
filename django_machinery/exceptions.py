"""Every error of the package.

MachineryError
├── ConfigurationError              settings or a URL cannot be used; also what a missing extra raises
├── CronError                       a cron spec that is refused (also a ValueError)
├── ProtocolError                   the wire
│   ├── DecodeError                 bytes that are not a message
│   ├── EncodeError                 a value that has no form on the wire
│   └── ArgumentError               a (Type, Value) pair that cannot become what was asked for
├── StoreError                      a broker, backend or lock
│   ├── BrokerError
│   │   ├── BrokerUnavailable       cannot be reached; worth trying again
│   │   └── MessageTooLarge
│   ├── BackendError
│   │   ├── BackendUnavailable      cannot be reached; worth trying again
│   │   └── BackendRefused          cannot hold a value
│   └── LockError
│       └── LockUnavailable         cannot be reached; worth trying again
├── TaskError
│   ├── TaskNotRegistered
│   └── TaskAlreadyRegistered
├── ResultError                     asking for a result
│   ├── TaskFailed                  the task failed; str is its message
│   ├── TaskUnknown                 no such task was sent, or its state has expired
│   ├── ResultTimeout               (also a TimeoutError)
│   └── NotCommitted                asked inside the transaction that sends the task
└── TaskControl                     raised in a running task
    ├── RetryLater                  by the task: run me again later
    ├── TaskTimedOut                by the worker: the soft time limit
    └── TaskCancelled               by the worker: cancelled while running
"""

from __future__ import annotations

from datetime import timedelta


class MachineryError(Exception):
    """Base of every error of this package. Not raised itself."""


class ConfigurationError(MachineryError):
    """Settings that cannot be used. `str` says which setting and what would be right; URLs in it are redacted."""


class CronError(MachineryError, ValueError):
    """A cron spec that is refused. `str` says which field is at fault, and why."""


class ProtocolError(MachineryError):
    """Base of what the wire raises."""


class DecodeError(ProtocolError):
    """Bytes that are not a message, or one beyond the bounds."""


class EncodeError(ProtocolError):
    """What has no form on the wire: NaN, a model instance, a naive time, a priority of 300, a chain that is too long, a
    group in which two tasks have one UUID."""


class ArgumentError(ProtocolError):
    """A (Type, Value) pair that cannot become what was asked for. `str` is Go's text where Go has one."""


class StoreError(MachineryError):
    """Base of what brokers, result backends and locks raise."""


class BrokerError(StoreError):
    """The broker refused."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached now; the same call may succeed later."""


class MessageTooLarge(BrokerError):
    """The encoded message is larger than the broker takes. Nothing was sent."""


class BackendError(StoreError):
    """The result backend refused."""


class BackendUnavailable(BackendError):
    """The result backend cannot be reached now; the same call may succeed later."""


class BackendRefused(BackendError):
    """The result backend cannot hold a value of this batch."""


class LockError(StoreError):
    """The lock refused."""


class LockUnavailable(LockError):
    """The lock cannot be reached now; the same call may succeed later."""


class TaskError(MachineryError):
    """Base of what the registry raises."""


class TaskNotRegistered(TaskError):
    """No task of that name is registered here."""


class TaskAlreadyRegistered(TaskError):
    """Another callable is registered under that name or alias."""


class ResultError(MachineryError):
    """Base of what asking for a result raises."""


class TaskFailed(ResultError):
    """The task failed. `str` is the message that the worker stored; `uuid` and `name` tell which task of a workflow."""

    def __init__(self, error: str, uuid: str = "", name: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.uuid = uuid
        self.name = name


class TaskUnknown(ResultError):
    """No task was sent under that UUID, or its state has expired."""


class ResultTimeout(ResultError, TimeoutError):
    """The task was not finished within the time given. It goes on."""


class NotCommitted(ResultError):
    """The transaction that sends the task has not committed, so no worker can have run it: waiting would never end."""


class TaskControl(MachineryError):
    """Base of what steers a running task."""


class RetryLater(TaskControl):
    """Raised by a task that wants to be run again after `delay`.

    Does not use up retry_count (Go: tasks.ErrRetryTaskLater, worker.go:228). With `limit`, the task fails when it has
    been run again that many times; without, there is no end.
    """

    def __init__(self, message: str, delay: timedelta, limit: int | None = None) -> None:
        super().__init__(message)
        if not isinstance(delay, timedelta):
            raise TypeError(f"the delay of RetryLater is a timedelta, not {delay!r}")
        self.delay = delay
        self.limit = limit


class TaskTimedOut(TaskControl):
    """The task has run longer than its `timeout`. Raised in its thread, at the next Python instruction."""


class TaskCancelled(TaskControl):
    """The task was cancelled while it ran. Raised inside `async def` tasks."""
