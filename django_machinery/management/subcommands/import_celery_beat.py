"""`manage.py machinery import_celery_beat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.management.subcommands.base import add_server, server_of
from django_machinery.scheduler.celery_beat import import_schedules

HELP = "Make schedules from the crontab and interval schedules of django-celery-beat; says which it could not."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("--database", default="default", metavar="ALIAS", help="where the tables of celery-beat are")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    count = refused = 0
    for outcome in import_schedules(server_of(options), options["database"], dry_run=options["dry_run"]):
        if outcome.reason:
            refused += 1
            command.stderr.write(f"not imported: {outcome.name}: {outcome.reason}")
        else:
            count += 1
            said = f"imported, but without {outcome.without}" if outcome.without else "imported"
            command.stdout.write(f"{said}: {outcome.name}: {outcome.spec}")
    command.stdout.write(f"{count} imported, {refused} not.")
