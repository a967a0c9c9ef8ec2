"""docs/reference/settings.md says what the table of settings says."""

import re
from pathlib import Path

import pytest

from django_machinery.conf import DRIVERS, KEYS, KINDS

PAGE = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()


def row(key):
    go = f"`{key.go}`" if key.go else ""
    return f"| `{key.name}` | {key.kind.words} | `{key.default!r}` | {go} | {key.doc} |"


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_a_key_stands_in_the_documentation_as_in_the_table(key):
    assert row(key) in PAGE.splitlines(), f"write this row into docs/reference/settings.md: {row(key)}"


def test_the_documentation_has_no_other_keys():
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == set(KEYS)


def test_the_documentation_names_every_scheme():
    for scheme, paths in DRIVERS.items():
        offered = ", ".join(kind for kind in KINDS if kind in paths)
        assert re.search(rf"^\| `{re.escape(scheme)}` \| {offered} \|", PAGE, re.MULTILINE), scheme
