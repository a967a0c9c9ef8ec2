"""`manage.py machinery purge QUEUE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, server_of

HELP = "Delete the messages that are ready on a queue. Their tasks will never run."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("queue")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Asks first, unless told not to."""
    server, queue = server_of(options), options["queue"]
    if not options["yes"]:
        question = f"Delete the {server.broker.depth(queue)} messages that are ready on {queue!r}? [y/N] "
        if input(question).strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was deleted.")
    command.stdout.write(f"{control.purge(server, queue)} deleted.")
