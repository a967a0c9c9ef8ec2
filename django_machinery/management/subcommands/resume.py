"""`manage.py machinery resume QUEUE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, operator, server_of

HELP = "End the pause of a queue."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("queue")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Fails for a queue that is not paused, whose name may be misspelt."""
    server, queue = server_of(options), options["queue"]
    if queue not in (paused := control.paused(server)):
        raise CommandError(f"{queue!r} is not paused. Paused: {', '.join(sorted(paused)) or 'none'}.")
    control.resume(server, queue, operator())
    command.stdout.write(f"{queue} is resumed.")
