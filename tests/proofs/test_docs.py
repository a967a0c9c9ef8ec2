"""The page of crash points names tests that there are."""

import re

import pytest

from tests.processes import ROOT

NAMED = re.compile(r"^- `(tests/[\w/]+\.py)::(\w+)`$", re.MULTILINE)
PAGE = (ROOT / "docs/explanation/delivery.md").read_text()


def sections() -> list[str]:
    """The crash points: what is under each heading of the third level."""
    return re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]


def test_every_test_that_is_named_is_there():
    named = NAMED.findall(PAGE)
    assert len(named) == PAGE.count("::test_"), "Write each test on a line of its own: - `file::test`"
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()]
    assert not missing, "These tests have gone or have other names: correct the page"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.partition("\n")[0])
def test_every_crash_point_names_a_test(section: str):
    if section.startswith("Outside of a transaction"):
        pytest.skip("that one promises nothing")
    assert NAMED.search(section), "Name the test that shows what this section says"
