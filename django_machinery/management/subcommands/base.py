"""What the subcommands share: the choice of a server, and output as a table or as JSON."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_machinery import conf
from django_machinery.exceptions import ConfigurationError
from django_machinery.handler import servers
from django_machinery.server import Server

__all__ = ["CommandError", "Subcommand", "add_output", "add_server", "operator", "server_of", "show"]


class Subcommand(Protocol):
    """A module of this package."""

    @property
    def HELP(self) -> str:
        """One sentence; empty for a subcommand that is not for people."""
        ...

    def add_arguments(self, parser: CommandParser) -> None: ...
    def handle(self, command: BaseCommand, options: Mapping[str, Any]) -> None: ...


def add_server(parser: CommandParser) -> None:
    parser.add_argument("--server", default="default", metavar="ALIAS", help="which server of MACHINERY")


def add_output(parser: CommandParser) -> None:
    parser.add_argument("--limit", type=int, default=100, help="the most rows (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def server_of(options: Mapping[str, Any]) -> Server:
    """The server that `--server` names. Raises CommandError."""
    alias = options["server"]
    try:
        if alias not in conf.aliases():
            raise CommandError(f"There is no server {alias!r}. {conf.nearest(alias, conf.aliases())}")
        return servers[alias]
    except ConfigurationError as error:
        raise CommandError(str(error)) from error


def operator() -> str:
    """Who asks: the user of the system."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "manage.py"


def show(command: BaseCommand, rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
    """Write rows that have the same keys: aligned under these, or as JSON."""
    if options["json"]:
        for row in rows:
            command.stdout.write(json.dumps(row, default=str, ensure_ascii=False))
    elif not rows:
        command.stdout.write("None.")
    else:
        _show_table(command, [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)])


def _show_table(command: BaseCommand, lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        command.stdout.write("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    """Printable, on one line: text of messages comes from elsewhere."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)[:200]
