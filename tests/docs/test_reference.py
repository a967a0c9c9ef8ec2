"""The reference names what there is: no option, signal or name less, and none more."""

import re

import pytest
from django.dispatch import Signal

import django_machinery
from django_machinery import exceptions, signals
from django_machinery.declare import SendOptions, TaskOptions
from tests.processes import ROOT

REFERENCE = ROOT / "docs/reference"


def table(page: str, heading: str) -> set[str]:
    """What stands between backticks in the first column of the table under that heading."""
    rows = (REFERENCE / page).read_text().split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_option_of_a_task_is_explained():
    assert table("tasks.md", "Option of `@task`") == {*TaskOptions.__annotations__, "takes_context"}


def test_every_option_of_a_send_is_explained():
    assert table("tasks.md", "Option of `using` and `send_task`") == set(SendOptions.__annotations__)


def test_every_signal_is_explained():
    assert table("signals.md", "Signal") == {name for name, value in vars(signals).items() if isinstance(value, Signal)}


# exceptions.md shows the whole module.
@pytest.mark.parametrize("name", [name for name in django_machinery.__all__ if not hasattr(exceptions, name)])
def test_every_public_name_stands_in_the_reference(name):
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in REFERENCE.glob("*.md")), (
        f"say in docs/reference what {name} is"
    )
