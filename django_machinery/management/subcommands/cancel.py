"""`manage.py machinery cancel UUID ...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, operator, server_of

HELP = "Cancel tasks that have not ended: those that wait will not run, those that run are asked to stop."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("uuids", nargs="+", metavar="UUID")
    parser.add_argument("--hard", action="store_true", help="end the worker process of a task that runs")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    count = control.cancel(server_of(options), options["uuids"], operator(), hard=options["hard"])
    command.stdout.write(f"{count} cancelled.")
