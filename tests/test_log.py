"""Logging: what the signals become."""

import io
import logging
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.dispatch import Signal

from django_machinery import log, signals
from django_machinery.exceptions import RetryLater
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.testing import running

SIGNATURE = Signature(uuid="task_1", name="math.add", queue="math", args=(Arg.of("4111-1111", str),))
WORKER = "host:7"
LOGGERS = (log.root, log.tasks, log.messages, log.schedules, log.workers, log.stores)


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    """Levels and handlers may be changed by a test; afterwards the default connections are back."""
    before = [(logger, logger.level, list(logger.handlers)) for logger in LOGGERS]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    log.connect()


class Collector(logging.Handler):
    """Keeps every record."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records():
    """Everything that the package logs."""
    collector = Collector()
    log.root.addHandler(collector)
    log.root.setLevel(logging.DEBUG)
    log.connect()
    return collector.records


def send(signal, **event):
    responses = signal.send_robust(object, server="default", **event)
    assert [answer for _, answer in responses if answer is not None] == []


def fail(reason="error", exception=None, error="boom"):
    send(
        signals.task_failed,
        signature=SIGNATURE,
        worker=WORKER,
        error=error,
        exception=exception,
        traceback="",
        reason=reason,
        seconds=0.5,
    )


def retry(exception):
    eta = "2030-01-01T00:00:00+00:00"
    send(signals.task_retried, signature=SIGNATURE, worker=WORKER, error=str(exception), exception=exception, eta=eta)


EVENTS: dict[str, dict[str, Any]] = {
    "task_sent": {"signature": SIGNATURE},
    "task_received": {"signature": SIGNATURE, "worker": WORKER},
    "task_started": {"signature": SIGNATURE, "worker": WORKER},
    "task_succeeded": {"signature": SIGNATURE, "worker": WORKER, "results": (), "seconds": 0.25},
    "task_failed": {
        "signature": SIGNATURE,
        "worker": WORKER,
        "error": "boom",
        "exception": None,
        "traceback": "",
        "reason": "error",
        "seconds": 0.5,
    },
    "task_retried": {"signature": SIGNATURE, "worker": WORKER, "error": "boom", "exception": None, "eta": "soon"},
    "task_parked": {"signature": SIGNATURE, "worker": WORKER},
    "message_rejected": {"queue": "math", "reason": "undecodable", "detail": "not JSON"},
    "lease_lost": {"token": "abc"},
    "worker_started": {"worker": WORKER},
    "worker_stopping": {"worker": WORKER},
    "worker_stopped": {"worker": WORKER},
    "store_unavailable": {"store": "redis://u:secret@h", "error": OSError("refused"), "retry_in": 1.5},
    "store_recovered": {"store": "redis://u:secret@h"},
    "tick_sent": {"schedule": "nightly", "tick_at": "06:00", "uuid": "task_1"},
    "tick_skipped": {"schedule": "nightly", "tick_at": "06:00", "reason": "skipped"},
    "schedule_failed": {"schedule": "nightly", "error": "minute: 61 is above 59"},
}
LINES = {
    "task_sent": (log.tasks, "DEBUG", "math.add task_1 was sent"),
    "task_received": (log.tasks, "DEBUG", "math.add task_1 was received by host:7"),
    "task_started": (log.tasks, "DEBUG", "math.add task_1 was started by host:7"),
    "task_succeeded": (log.tasks, "INFO", "math.add task_1 succeeded in 0.250 s"),
    "task_failed": (log.tasks, "ERROR", "math.add task_1 failed after 0.500 s (error): boom"),
    "task_retried": (log.tasks, "WARNING", "math.add task_1 runs again at soon: boom"),
    "task_parked": (log.tasks, "WARNING", "math.add task_1 waits: host:7 knows no such task"),
    "message_rejected": (
        log.messages,
        "ERROR",
        "A message of queue math became a dead letter (undecodable): not JSON",
    ),
    "tick_sent": (log.schedules, "INFO", "Schedule nightly of 06:00 was sent: task_1"),
    "tick_skipped": (log.schedules, "WARNING", "Schedule nightly of 06:00 was not sent (skipped)"),
    "schedule_failed": (log.schedules, "ERROR", "Schedule nightly cannot be used: minute: 61 is above 59"),
    "lease_lost": (log.workers, "WARNING", "The lease abc was lost: its messages go to others"),
    "worker_started": (log.workers, "INFO", "Worker host:7 has started"),
    "worker_stopping": (log.workers, "INFO", "Worker host:7 finishes what it runs"),
    "worker_stopped": (log.workers, "INFO", "Worker host:7 has stopped"),
    "store_unavailable": (
        log.stores,
        "WARNING",
        "redis://u:***@h cannot be reached, next attempt in 1.5 s: refused",
    ),
    "store_recovered": (log.stores, "INFO", "redis://u:***@h can be reached again"),
}


def test_every_signal_has_its_line():
    assert set(LINES) == {name for name in vars(signals) if isinstance(getattr(signals, name), Signal)} - {"Signal"}


@pytest.mark.parametrize("name", LINES)
def test_an_event_becomes_one_line_at_its_level(records, name):
    send(getattr(signals, name), **EVENTS[name])
    logger, level, line = LINES[name]
    assert [(r.name, r.levelname, r.getMessage()) for r in records] == [(logger.name, level, line)]


def test_a_record_carries_its_facts(records):
    send(signals.task_succeeded, **EVENTS["task_succeeded"])
    [record] = records
    facts = (record.server, record.task_name, record.task_uuid, record.queue, record.worker, record.seconds)
    assert facts == ("default", "math.add", "task_1", "math", WORKER, 0.25)


def test_a_failure_brings_its_traceback(records):
    try:
        raise ValueError("boom")
    except ValueError as error:
        fail(exception=error)
    [record] = records
    assert record.exc_info[0] is ValueError
    assert "test_a_failure_brings_its_traceback" in logging.Formatter().format(record)


def test_a_failure_without_exception_has_no_traceback(records):
    fail(reason="crash")
    assert records[0].exc_info is None


def test_a_cancelled_task_is_no_error(records):
    fail(reason="cancelled")
    assert records[0].levelname == "INFO"


def test_a_retry_that_the_task_asked_for_is_no_warning(records):
    retry(RetryLater("later", timedelta(minutes=1)))
    retry(ValueError("boom"))
    assert [record.levelname for record in records] == ["INFO", "WARNING"]


def test_arguments_are_never_logged(records):
    for name, event in EVENTS.items():
        send(getattr(signals, name), **event)
    assert len(records) == len(EVENTS)
    for record in records:
        assert "4111" not in f"{record.getMessage()} {vars(record)}"


def test_text_from_elsewhere_cannot_forge_lines_or_flood(records):
    fail(error="a\r\nERROR forged\x1b[31m\u2028" + "x" * 5000)
    message = records[0].getMessage()
    assert message.startswith("math.add task_1 failed after 0.500 s (error): a ERROR forged [31m xx")
    assert len(message) < 600


@pytest.mark.timeout(10)
@pytest.mark.parametrize("pattern", ["a://", "pass_", "password", "x='"])
def test_a_huge_hostile_error_costs_next_to_nothing(records, pattern):
    fail(error=pattern * 200_000)
    assert len(records[0].getMessage()) < 600


def test_what_nobody_reads_is_not_listened_to():
    log.root.setLevel(logging.WARNING)
    helper_listened = signals.task_sent.disconnect(running._note_queue)  # the test helpers' own, once they are imported
    log.connect()
    quiet = {name for name in LINES if not getattr(signals, name).receivers}
    if helper_listened:
        signals.task_sent.connect(running._note_queue)
    assert quiet == {name for name, (_, level, _) in LINES.items() if level in ("DEBUG", "INFO")}


def test_connecting_twice_logs_once(records):
    log.connect()
    send(signals.worker_started, worker=WORKER)
    assert len(records) == 1


class Console:
    """Stands for the terminal, with no other handler in the way."""

    def __init__(self, monkeypatch):
        self.stream = io.StringIO()
        monkeypatch.setattr(log.root, "propagate", False)

    def lines(self):
        return [line.split("] ", 1)[1] for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def console(monkeypatch):
    return Console(monkeypatch)


def test_print_tasks_prints_a_line_per_finished_task(console):
    log.print_tasks(console.stream)
    send(signals.task_started, **EVENTS["task_started"])
    send(signals.task_succeeded, **EVENTS["task_succeeded"])
    fail()
    assert console.lines() == [LINES["task_succeeded"][2], LINES["task_failed"][2]]


def test_print_tasks_keeps_the_level_that_the_project_has_set(console):
    log.root.setLevel(logging.ERROR)
    log.print_tasks(console.stream)
    send(signals.task_succeeded, **EVENTS["task_succeeded"])
    fail()
    assert console.lines() == [LINES["task_failed"][2]]


@pytest.mark.parametrize(("level", "printed"), [(logging.INFO, []), (logging.WARNING, [LINES["task_succeeded"][2]])])
def test_print_tasks_does_not_repeat_what_the_console_shows(console, level, printed):
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(level)
    log.root.addHandler(shown)
    log.print_tasks(console.stream)
    send(signals.task_succeeded, **EVENTS["task_succeeded"])
    assert console.lines() == printed


def test_print_tasks_is_not_silenced_by_a_log_file(console, tmp_path):
    with_file = logging.FileHandler(tmp_path / "log")
    log.root.addHandler(with_file)
    log.print_tasks(console.stream)
    send(signals.task_succeeded, **EVENTS["task_succeeded"])
    with_file.close()
    assert console.lines() == [LINES["task_succeeded"][2]]
