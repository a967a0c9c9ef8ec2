"""`manage.py machinery delayed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery.management.subcommands.base import add_output, add_server, server_of, show
from django_machinery.management.subcommands.pending import describe

HELP = "Show the messages that wait for their time, the soonest first."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    add_output(parser)


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    server = server_of(options)
    if not server.broker.supports_listing:
        raise CommandError(f"The broker of server {server.alias!r} cannot list messages.")
    show(command, describe(server, server.broker.delayed(options["limit"])), options)
