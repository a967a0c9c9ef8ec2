"""`manage.py machinery pending [QUEUE ...]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.exceptions import DecodeError
from django_machinery.management.subcommands.base import add_output, add_server, server_of, show
from django_machinery.seams.broker import Waiting
from django_machinery.server import Server
from django_machinery.worker.terms import queues_of

HELP = "Show the messages that are ready to run, in their order."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    add_output(parser)
    parser.add_argument("queues", nargs="*", metavar="QUEUE", help="default: the queues that a worker consumes")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Where the broker cannot list messages, their number is shown."""
    server = server_of(options)
    queues = queues_of(server.config, options["queues"])
    if not server.broker.supports_listing:
        show(command, [{"queue": queue, "messages": server.broker.depth(queue)} for queue in queues], options)
        return
    waiting = [message for queue in queues for message in server.broker.pending(queue, options["limit"])]
    show(command, describe(server, waiting[: options["limit"]]), options)


def describe(server: Server, messages: Sequence[Waiting]) -> list[dict[str, Any]]:
    """A row a message. Arguments are not shown: they may be secret."""
    return [{"queue": message.queue, **_task(server, message), "due": message.due_at} for message in messages]


def _task(server: Server, message: Waiting) -> dict[str, Any]:
    try:
        signature = server.decode(message.body)
    except DecodeError as error:
        return {"task": "(cannot be decoded)", "uuid": "", "priority": None, "error": str(error)}
    return {"task": signature.name, "uuid": signature.uuid, "priority": signature.priority, "error": ""}
