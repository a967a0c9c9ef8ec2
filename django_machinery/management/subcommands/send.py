"""`manage.py machinery send NAME [VALUE ...]`."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery.api import send_task
from django_machinery.declare import SendOptions, Task
from django_machinery.exceptions import EncodeError, ResultTimeout, TaskFailed
from django_machinery.management.subcommands.base import add_server, server_of
from django_machinery.management.subcommands.kinds import count_or_zero, moment, seconds
from django_machinery.results import AsyncResult

HELP = "Send a task by its name, and print its UUID."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("name", help="the task; it may be known only to another service")
    parser.add_argument(
        "values", nargs="*", default=[], type=_json, metavar="VALUE", help="an argument as JSON: 1, true, '\"text\"'"
    )
    parser.add_argument("--kwargs", type=_json_object, default={}, metavar="OBJECT", help="keyword arguments as JSON")
    parser.add_argument("--queue", help="instead of the task's own")
    parser.add_argument("--eta", type=moment, help="seconds from now, or an ISO time with its offset")
    parser.add_argument("--priority", type=count_or_zero)
    parser.add_argument("--retry-count", type=count_or_zero)
    parser.add_argument("--wait", type=seconds, metavar="SECONDS", help="wait for the result and print it as JSON")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    try:
        result = _send(options)
    except (EncodeError, TypeError) as error:
        raise CommandError(str(error)) from error
    command.stdout.write(result.uuid)
    if options["wait"] is not None:
        command.stdout.write(json.dumps(_wait(result, options["wait"]), default=repr))


def _send(options: Mapping[str, Any]) -> AsyncResult[Any]:
    keys = ("server", "queue", "eta", "priority", "retry_count")
    send_options = cast(SendOptions, {key: options[key] for key in keys if options[key] is not None})
    definition = server_of(options).registry.find(options["name"])
    if definition is None:
        return send_task(options["name"], options["values"], options["kwargs"], **send_options)
    task: Task[..., Any] = Task(definition, send_options)
    return task.send(*options["values"], **options["kwargs"])


def _wait(result: AsyncResult[Any], timeout: float) -> Any:
    try:
        return result.get(timeout=timeout)
    except (TaskFailed, ResultTimeout) as error:
        raise CommandError(f"{type(error).__name__}: {error}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not JSON: a string is written '\"{text}\"'") from None


def _json_object(text: str) -> dict[str, Any]:
    value = _json(text)
    if not isinstance(value, dict):
        raise ArgumentTypeError(f"a JSON object is wanted, not {text!r}")
    return value
