"""django_machinery: a task queue for Django that shares its queues, results and locks with Go's machinery.

Everything here is loaded when it is first used, so that importing the package needs no settings and no loaded apps.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_machinery.api import asend_task, cancel_task, send_chain, send_chord, send_group, send_task
    from django_machinery.declare import AsyncTask, Task, periodic, task
    from django_machinery.exceptions import (
        MachineryError,
        NotCommitted,
        ResultTimeout,
        RetryLater,
        TaskCancelled,
        TaskFailed,
        TaskTimedOut,
        TaskUnknown,
    )
    from django_machinery.handler import servers
    from django_machinery.protocol.signature import Arg, Signature
    from django_machinery.protocol.workflows import Chain, Chord, Group
    from django_machinery.results import AsyncResult, ChainResult, ChordResult, GroupResult
    from django_machinery.worker import TaskContext, Worker

_HOMES = {
    "api": ("asend_task", "cancel_task", "send_chain", "send_chord", "send_group", "send_task"),
    "declare": ("AsyncTask", "Task", "periodic", "task"),
    "exceptions": (
        "MachineryError",
        "NotCommitted",
        "ResultTimeout",
        "RetryLater",
        "TaskCancelled",
        "TaskFailed",
        "TaskTimedOut",
        "TaskUnknown",
    ),
    "handler": ("servers",),
    "protocol.signature": ("Arg", "Signature"),
    "protocol.workflows": ("Chain", "Chord", "Group"),
    "results": ("AsyncResult", "ChainResult", "ChordResult", "GroupResult"),
    "worker": ("TaskContext", "Worker"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Arg",
    "AsyncResult",
    "AsyncTask",
    "Chain",
    "ChainResult",
    "Chord",
    "ChordResult",
    "Group",
    "GroupResult",
    "MachineryError",
    "NotCommitted",
    "ResultTimeout",
    "RetryLater",
    "Signature",
    "Task",
    "TaskCancelled",
    "TaskContext",
    "TaskFailed",
    "TaskTimedOut",
    "TaskUnknown",
    "Worker",
    "asend_task",
    "cancel_task",
    "periodic",
    "send_chain",
    "send_chord",
    "send_group",
    "send_task",
    "servers",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
