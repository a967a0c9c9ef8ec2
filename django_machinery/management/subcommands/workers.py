"""`manage.py machinery workers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.inspector import Inspector
from django_machinery.management.subcommands.base import add_output, add_server, server_of, show

HELP = "Show the worker processes, those that live first. A silent one has not been heard of for a while."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    add_output(parser)


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    rows = [
        {
            "host": worker.host,
            "pid": worker.pid,
            "tag": worker.tag,
            "queues": worker.queues.replace("\n", ","),
            "threads": worker.concurrency,
            "busy": worker.busy,
            "done": worker.done,
            "failed": worker.failed,
            "memory": f"{worker.rss / 2**20:.0f} MiB",
            "silent": worker.stale,
        }
        for worker in Inspector(server_of(options)).workers()[: options["limit"]]
    ]
    show(command, rows, options)
