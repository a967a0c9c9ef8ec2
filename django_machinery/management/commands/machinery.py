"""`manage.py machinery <subcommand>`."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery.exceptions import ConfigurationError, StoreError
from django_machinery.management.subcommands import SUBCOMMANDS


class Command(BaseCommand):
    help = "Work with the task queue."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="subcommand")
        for name, subcommand in SUBCOMMANDS.items():
            text = subcommand.HELP
            shown = subparsers.add_parser(name, help=text, description=text) if text else subparsers.add_parser(name)
            subcommand.add_arguments(shown)
        subparsers.choices = _ForPeople(subparsers.choices or {})

    def handle(self, *, subcommand: str, **options: Any) -> None:
        try:
            SUBCOMMANDS[subcommand].handle(self, options)
        except (ConfigurationError, StoreError) as error:
            raise CommandError(str(error)) from error


class _ForPeople(dict[str, Any]):
    """All subcommands may be called; one without a HELP is not spoken of."""

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if SUBCOMMANDS[name].HELP)
