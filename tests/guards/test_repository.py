"""What is committed speaks of the product and of no machine that it was written on."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.guards.package import ROOT

# Each pattern is written so that this file does not match it.
MACHINE_PATHS = r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+|tmp/[w])/"
REGISTRIES = r"(?:pypi|pythonhosted|npmjs|crates|rubygems|maven|(?:proxy|sum)[.]golang)(?:\.apache)?[.](?:org|com|io)"


def committed_text() -> Iterator[tuple[str, int, str]]:
    """(file, line number, line) of every text file that git knows here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in (".png", ".svg", ".jsonl") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            yield name, number, line


@pytest.mark.parametrize(
    ("pattern", "cure"),
    [
        (MACHINE_PATHS, "Take the path from the environment, from a temporary directory or from __file__"),
        (REGISTRIES, "Name the package, not the registry: which one is used is the reader's configuration"),
    ],
    ids=["no path of one machine", "no host of a package registry"],
)
def test_no_committed_line_ties_the_project_to_a_place(pattern: str, cure: str):
    expression = re.compile(pattern)
    found = [f"{name}:{number}: {line.strip()}" for name, number, line in committed_text() if expression.search(line)]
    assert not found, cure
