"""`manage.py machinery requeue ID ...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery.management.subcommands.base import add_server, server_of
from django_machinery.management.subcommands.dead import dead_letters

HELP = "Send dead letters again; their tasks start anew."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="as shown by `machinery dead`")
    parser.add_argument("--all", action="store_true", help="all that can be decoded")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Fails when none of those that were named could be sent."""
    if bool(options["ids"]) == options["all"]:
        raise CommandError("Name the dead letters by their ids, or say --all.")
    server = server_of(options)
    ids = options["ids"] or list(dead_letters(server).values_list("pk", flat=True))
    count = server.requeue_dead(ids)
    if options["ids"] and not count:
        raise CommandError("None of these is a dead letter of this server that can be sent again.")
    command.stdout.write(f"{count} sent again.")
