"""`manage.py runworker`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_machinery.management.subcommands import worker


class Command(BaseCommand):
    help = worker.HELP

    def add_arguments(self, parser: CommandParser) -> None:
        worker.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        worker.handle(self, options)
