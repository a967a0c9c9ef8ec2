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
        subparsers = parser.add_subparsers(dest="subcommand", metavar="subcommand")
        for name, subcommand in SUBCOMMANDS.items():
            text = subcommand.HELP
            shown = subparsers.add_parser(name, help=text, description=text) if text else subparsers.add_parser(name)
            subcommand.add_arguments(shown)
        subparsers.choices = _ForPeople(subparsers.choices or {})

    def handle(self, *, subcommand: str | None = None, **options: Any) -> None:
        if subcommand is None:
            self._list()
            return
        try:
            SUBCOMMANDS[subcommand].handle(self, options)
        except (ConfigurationError, StoreError) as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        shown = {name: subcommand.HELP for name, subcommand in SUBCOMMANDS.items() if subcommand.HELP}
        width = max(map(len, shown))
        self.stdout.write("manage.py machinery <subcommand>; what each takes is told by --help:")
        for name, text in shown.items():
            self.stdout.write(f"  {name:<{width}}  {text}")


class _ForPeople(dict[str, Any]):
    """All subcommands may be called; one without a HELP is not spoken of."""

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if SUBCOMMANDS[name].HELP)
