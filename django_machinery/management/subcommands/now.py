"""`manage.py machinery now UUID ...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery import control
from django_machinery.management.subcommands.base import add_server, server_of

HELP = "Run tasks now that wait for their time, or for their next attempt."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("uuids", nargs="+", metavar="UUID")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    command.stdout.write(f"{control.run_now(server_of(options), options['uuids'])} made ready.")
