"""`manage.py machinery retry UUID ...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, operator, server_of

HELP = "Run tasks again that have ended, as they were sent."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("uuids", nargs="+", metavar="UUID")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Fails where the result backend does not know how a task was sent."""
    server = server_of(options)
    if not server.backend.keeps_signatures:
        raise CommandError(f"The result backend of server {server.alias!r} does not keep how tasks were sent.")
    command.stdout.write(f"{control.retry(server, options['uuids'], operator())} sent again.")
