"""`manage.py machinery dead`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.management.subcommands.base import add_output, add_server, server_of, show

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from django_machinery.models import DeadLetter
    from django_machinery.server import Server

HELP = "Show the dead letters: messages that will not be run, and why. The newest first."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    add_output(parser)


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    letters = dead_letters(server_of(options)).order_by("-died_at", "-id")[: options["limit"]]
    show(command, [_row(letter) for letter in letters.defer("body")], options)


def dead_letters(server: Server) -> QuerySet[DeadLetter]:
    """Those of a server that have not been sent again."""
    from django_machinery.models import DeadLetter

    return DeadLetter.objects.using(server.config.database).filter(server=server.alias, requeued_at=None)


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.pk,
        "died": letter.died_at.isoformat(timespec="seconds"),
        "queue": letter.queue,
        "task": letter.name,
        "uuid": letter.uuid,
        "reason": letter.reason,
        "detail": letter.detail,
    }
