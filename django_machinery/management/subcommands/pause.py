"""`manage.py machinery pause QUEUE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, operator, server_of
from django_machinery.management.subcommands.kinds import moment

HELP = "Let a queue rest: what runs goes on, and no worker takes more from it."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("queue")
    parser.add_argument(
        "--until", type=moment, metavar="WHEN", help="seconds from now, or an ISO time (default: until it is resumed)"
    )


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    control.pause(server_of(options), options["queue"], operator(), options["until"])
    command.stdout.write(f"{options['queue']} is paused.")
