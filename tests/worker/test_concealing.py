"""What must not be shown stays out of errors, tracebacks, signals, handlers and logs."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from django_machinery import Worker, log, send_task, signals
from django_machinery.exceptions import RetryLater
from django_machinery.models import Attempt, TaskState
from django_machinery.server import Server
from django_machinery.worker.errors import Concealed
from tests.databases import on_databases
from tests.worker.support import database_server, heard

SECRET = "DE02120300000000202051"

pytestmark = on_databases("default")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        yield server


def fail(server: Server, func: Any, *args: Any, **options: Any) -> TaskState:
    """Run a task that fails; its row."""
    server.register_task("pay", func, **options)
    uuid = send_task("pay", args=args).uuid
    Worker(server, concurrency=1).run(drain=True)
    return TaskState.objects.using(server.config.database).get(uuid=uuid)


def pay(iban: str, amount: int = 0) -> None:
    try:
        raise KeyError(iban)
    except KeyError as error:
        raise ValueError(f"{iban} is closed") from error


def login(user: str, password: str) -> None:
    raise PermissionError(f"{user} may not enter with {password!r}")


def test_a_sensitive_value_is_hidden_in_what_is_stored(server: Server):
    row = fail(server, pay, SECRET, sensitive=("iban",))
    attempt = Attempt.objects.using(server.config.database).get()
    assert row.error == attempt.error == "*** is closed"
    assert attempt.exception == "ValueError"
    assert "in pay" in attempt.traceback
    assert "KeyError: '***'" in attempt.traceback
    assert SECRET not in row.error + row.traceback + attempt.traceback


def test_a_value_is_hidden_by_the_name_of_its_parameter(server: Server):
    assert fail(server, login, "me", "hunter2").error == "me may not enter with '***'"


def test_the_words_are_those_of_the_setting(database: str):
    with database_server(database, MASK=["user"]) as server:
        assert fail(server, login, "somebody", "hunter2").error == "*** may not enter with 'hunter2'"


def test_a_value_that_does_not_fit_is_hidden_too(server: Server):
    def enter(password: int) -> None: ...

    assert "hunter2" not in fail(server, enter, "hunter2").error


@pytest.mark.parametrize("secret", ["8", "xy", 7, 123])
def test_a_short_value_is_hidden_if_its_task_declares_it(secret: Any, server: Server):
    def check(pin: Any) -> None:
        raise ValueError(f"{pin} is wrong: 77 88 1234 xyz")

    assert fail(server, check, secret, sensitive=("pin",)).error == "*** is wrong: 77 88 1234 xyz"


class Postponed(RetryLater):
    """A project's own."""


@pytest.mark.parametrize("kind", [RetryLater, Postponed])
def test_a_value_is_hidden_where_a_task_asks_to_be_run_later(
    kind: type[RetryLater], server: Server, caplog: pytest.LogCaptureFixture
):
    def charge(card: str) -> None:
        raise kind(f"the bank is busy: {card}", timedelta(hours=1))

    caplog.set_level(logging.DEBUG, "django_machinery")
    log.connect()
    with heard(signals.task_retried) as told:
        row = fail(server, charge, SECRET, sensitive=("card",))
    attempt = Attempt.objects.using(server.config.database).get()
    assert (row.state, attempt.outcome) == ("RETRY", "retry")
    assert attempt.error == told[0]["error"] == "the bank is busy: ***"
    assert attempt.exception == f"{kind.__module__}.{kind.__qualname__}"
    assert SECRET not in row.traceback + attempt.traceback + str(told[0]["exception"]) + caplog.text
    (record,) = (record for record in caplog.records if "the bank is busy" in record.getMessage())
    assert record.levelno == logging.INFO


def test_a_value_is_hidden_where_the_time_of_the_next_run_is_none(server: Server):
    def charge(card: str) -> None:
        raise RetryLater(f"the bank is busy: {card}", timedelta.max)

    row = fail(server, charge, SECRET, sensitive=("card",))
    assert row.state == "FAILURE"
    assert SECRET not in row.error + row.traceback


def test_an_error_without_secrets_stays_as_it_was(server: Server):
    def enter(password: str) -> int:
        return 1 // 0

    with heard(signals.task_failed) as told:
        fail(server, enter, "hunter2")
    assert type(told[0]["exception"]) is ZeroDivisionError


def test_signals_handlers_and_logs_get_a_stand_in(server: Server, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "django_machinery")
    log.connect()
    server.register_task("pay", pay, sensitive=("iban",))
    send_task("pay", args=[SECRET], retry_count=0)
    handled: list[BaseException] = []
    worker = Worker(server, concurrency=1)
    worker.set_error_handler(handled.append)
    with heard(signals.task_failed) as told:
        worker.run(drain=True)
    assert isinstance(told[0]["exception"], Concealed)
    assert [str(error) for error in handled] == ["*** is closed"]
    assert "ValueError: *** is closed" in caplog.text
    assert "Concealed" not in caplog.text
    assert SECRET not in caplog.text + str(told[0]["error"]) + told[0]["traceback"]
