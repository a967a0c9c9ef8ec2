"""The command lines of the documentation can be typed, and the reference has every option and subcommand."""

import os
import re
import shlex

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from django_machinery.management.subcommands import SUBCOMMANDS
from tests.processes import ROOT

REFERENCE = (ROOT / "docs/reference/commands.md").read_text()
HOMES = {"runworker": "django_machinery", "machinery": "django_machinery", "demo": "testproject.codeindex"}
LINES = sorted(
    {
        line
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for line in re.findall(
            r"^(?:ExecStart=\S+)?(?:python )?\s?manage\.py ((?:runworker|machinery|demo).*)$",
            page.read_text(),
            re.MULTILINE,
        )
    }
)


def command(name: str) -> BaseCommand:
    return load_command_class(HOMES[name], name)


def options(parser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings if option.startswith("--")}


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_can_be_typed(line):
    name, *arguments = shlex.split(line)
    command(name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("script", re.findall(r"^(\.ci/\w+)$", (ROOT / "README.md").read_text(), re.MULTILINE))
def test_the_two_commands_of_the_readme_are_there(script):
    assert os.access(ROOT / script, os.X_OK)


def test_there_are_command_lines():
    assert len(LINES) > 5


def test_every_option_of_runworker_is_explained():
    own = options(command("runworker").create_parser("manage.py", "runworker"))
    common = options(BaseCommand().create_parser("manage.py", "any"))
    section = REFERENCE.split("## runworker")[1].split("## machinery")[0]
    assert own - common == set(re.findall(r"--[a-z][a-z-]+", section.split("| Signal")[0]))


def test_every_subcommand_is_explained():
    section = REFERENCE.split("## machinery")[1]
    assert set(re.findall(r"^\| `(\w+)", section, re.MULTILINE)) == {
        name for name, sub in SUBCOMMANDS.items() if sub.HELP
    }
