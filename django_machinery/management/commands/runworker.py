"""`manage.py runworker`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.management.subcommands import worker


class Command(BaseCommand):
    help = worker.HELP
    requires_system_checks = ()  # the worker runs those that need no database: one that is away is waited for

    def add_arguments(self, parser: CommandParser) -> None:
        worker.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        worker.handle(self, options)
