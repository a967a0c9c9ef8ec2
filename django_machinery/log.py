"""The log of what happens to tasks, schedules, workers and stores: it listens to the signals.

What no signal tells, code logs by itself: the ends of processes, what operators ask for, what a settings file changes,
and faults that nobody expected.

- `django_machinery.tasks`: ERROR failed, with the traceback; WARNING retried after an error, parked; INFO succeeded,
  run again on its own request, cancelled; DEBUG sent, received, started
- `django_machinery.messages`: ERROR a message became a dead letter
- `django_machinery.schedules`: ERROR a schedule cannot be read or sent; WARNING a tick was skipped, as the run before
  had not ended; INFO sent, left to another program
- `django_machinery.workers`: ERROR a process died or was killed, a fault; WARNING a lease was lost, a task left a
  transaction open; INFO started, stopping, stopped, what operators ask for
- `django_machinery.settings`: WARNING a settings file cannot be used, or not without a restart; INFO new settings
- `django_machinery.stores`: WARNING a store cannot be reached; INFO it is back

A record that comes of a signal carries its facts as attributes too (`extra`): server, task_name, task_uuid, queue,
worker, seconds, reason, error, and so on. Arguments and results of tasks are never logged; secrets in URLs are hidden.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from django.dispatch import Signal

from django_machinery import signals
from django_machinery.conf import redact
from django_machinery.exceptions import RetryLater

root = logging.getLogger("django_machinery")
tasks = root.getChild("tasks")
messages = root.getChild("messages")
workers = root.getChild("workers")
stores = root.getChild("stores")
schedules = root.getChild("schedules")


def connect() -> None:
    """Listen to the signals that somebody wants to read about, and to no other: one without listeners is not even sent.

    To be called again when the level of a logger has changed.
    """
    for listener in _LISTENERS:
        if listener.logger.isEnabledFor(listener.level):
            listener.signal.connect(listener)
        else:
            listener.signal.disconnect(listener)


def print_tasks(stream: TextIO) -> logging.Handler:
    """Print a line per finished task on `stream`; returns the handler that does.

    Keeps the level that the project has set for `django_machinery` or `django_machinery.tasks`, and is silent where
    another handler shows the line on the console.
    """
    handler = _Printer(stream)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: not _on_console(record, besides=handler))
    tasks.addHandler(handler)
    if tasks.level == root.level == logging.NOTSET:
        tasks.setLevel(logging.INFO)
    connect()
    return handler


class _Printer(logging.StreamHandler[TextIO]):
    """Silent when nobody can read its stream any more."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _on_console(record: logging.LogRecord, besides: logging.Handler) -> bool:
    logger: logging.Logger | None = tasks
    while logger is not None:
        if any(_prints(handler, record) for handler in logger.handlers if handler is not besides):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _prints(handler: logging.Handler, record: logging.LogRecord) -> bool:
    console = isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)
    return console and record.levelno >= handler.level


Event = Mapping[str, Any]
"""The arguments of a signal."""


@dataclass(frozen=True, eq=False)
class _Listener:
    """A receiver that turns the events of one signal into log records."""

    signal: Signal
    logger: logging.Logger
    level: int
    text: str
    """May name the facts of the event: "%(task_name)s"."""
    is_mild: Callable[[Event], bool] = lambda event: False
    """Whether an event is worth INFO only."""
    traceback: bool = False

    def __call__(self, **event: Any) -> None:
        facts = _facts(event)
        self.logger.log(
            logging.INFO if self.is_mild(event) else self.level,
            self.text,
            facts,
            exc_info=event.get("exception") if self.traceback else None,
            extra=facts,
        )


_FACTS = (
    *("server", "worker", "queue", "seconds", "reason", "error", "detail", "eta", "token", "store", "retry_in"),
    *("schedule", "tick_at", "uuid"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST = 500
_LOOKED_AT = 4 * _LONGEST


def _facts(event: Event) -> dict[str, Any]:
    facts = {name: event[name] for name in _FACTS if name in event}
    if (signature := event.get("signature")) is not None:
        facts |= {"task_name": signature.name, "task_uuid": signature.uuid, "queue": signature.queue}
    return {name: value if isinstance(value, int | float) else _one_line(value) for name, value in facts.items()}


def _one_line(value: Any) -> str:
    """Text from elsewhere, unable to pass for further lines of the log or to flood it."""
    return _CONTROL.sub(" ", redact(str(value)[:_LOOKED_AT]))[:_LONGEST]


def _asked_for_it(event: Event) -> bool:
    exception = event.get("exception")
    return issubclass(getattr(exception, "kind", type(exception)), RetryLater)  # `kind`: a stand-in has it


def _was_left(event: Event) -> bool:
    return event.get("reason") == "elsewhere"


def _was_cancelled(event: Event) -> bool:
    return event.get("reason") == "cancelled"


_TASK = "%(task_name)s %(task_uuid)s"

_LISTENERS = (
    _Listener(signals.task_sent, tasks, logging.DEBUG, f"{_TASK} was sent"),
    _Listener(signals.task_received, tasks, logging.DEBUG, f"{_TASK} was received by %(worker)s"),
    _Listener(signals.task_started, tasks, logging.DEBUG, f"{_TASK} was started by %(worker)s"),
    _Listener(signals.task_succeeded, tasks, logging.INFO, f"{_TASK} succeeded in %(seconds).3f s"),
    _Listener(
        signals.task_failed,
        tasks,
        logging.ERROR,
        f"{_TASK} failed after %(seconds).3f s (%(reason)s): %(error)s",
        is_mild=_was_cancelled,
        traceback=True,
    ),
    _Listener(
        signals.task_retried,
        tasks,
        logging.WARNING,
        f"{_TASK} runs again at %(eta)s: %(error)s",
        is_mild=_asked_for_it,
    ),
    _Listener(signals.task_parked, tasks, logging.WARNING, f"{_TASK} waits: %(worker)s knows no such task"),
    _Listener(
        signals.message_rejected,
        messages,
        logging.ERROR,
        "A message of queue %(queue)s became a dead letter (%(reason)s): %(detail)s",
    ),
    _Listener(signals.tick_sent, schedules, logging.INFO, "Schedule %(schedule)s of %(tick_at)s was sent: %(uuid)s"),
    _Listener(
        signals.tick_skipped,
        schedules,
        logging.WARNING,
        "Schedule %(schedule)s of %(tick_at)s was not sent (%(reason)s)",
        is_mild=_was_left,
    ),
    _Listener(signals.schedule_failed, schedules, logging.ERROR, "Schedule %(schedule)s cannot be used: %(error)s"),
    _Listener(signals.lease_lost, workers, logging.WARNING, "The lease %(token)s was lost: its messages go to others"),
    _Listener(signals.worker_started, workers, logging.INFO, "Worker %(worker)s has started"),
    _Listener(signals.worker_stopping, workers, logging.INFO, "Worker %(worker)s finishes what it runs"),
    _Listener(signals.worker_stopped, workers, logging.INFO, "Worker %(worker)s has stopped"),
    _Listener(
        signals.store_unavailable,
        stores,
        logging.WARNING,
        "%(store)s cannot be reached, next attempt in %(retry_in).1f s: %(error)s",
    ),
    _Listener(signals.store_recovered, stores, logging.INFO, "%(store)s can be reached again"),
)
