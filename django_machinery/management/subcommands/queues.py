"""`manage.py machinery queues`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.inspector import Inspector
from django_machinery.management.subcommands.base import add_output, add_server, server_of, show

HELP = "Show the queues: what waits, for how many seconds the oldest does, and whether they are paused."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    add_output(parser)


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    looks = Inspector(server_of(options)).queues()[: options["limit"]]
    rows = [
        {
            "queue": look.name,
            "ready": look.ready,
            "delayed": look.delayed,
            "oldest": None if look.oldest_age is None else round(look.oldest_age, 1),
            "paused": look.paused,
        }
        for look in looks
    ]
    show(command, rows, options)
