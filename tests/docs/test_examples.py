"""Every Python block of the documentation runs.

A block whose first line is a comment with a path is (appended to) that file of the reader's project; every other one is
run in its shell, while a worker runs. The project is the one that the README's tutorial makes, line by line.
"""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import Block, blocks
from tests.docs.project import Project
from tests.processes import ROOT

README = ROOT / "README.md"
TUTORIAL = ("<!-- tutorial -->", "<!-- end of tutorial -->")


def python_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if python_blocks(page)]


def test_no_example_escapes():
    """Fences that are indented would not be found."""
    for page in PAGES:
        assert page.read_text().count("```python\n") == len(python_blocks(page)), page


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.from_tutorial(blocks(README, *TUTORIAL), tmp_path_factory.mktemp("tutorial"))


def test_the_tutorial_of_the_readme_works_as_pasted(tutorial: Project, tmp_path: Path):
    project = tutorial.copy(tmp_path / "shop")
    with project.worker():
        project.run("README.md", [block for block in python_blocks(README) if not block.is_pasted])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run(page: Path, tutorial: Project, tmp_path: Path):
    project = tutorial.copy(tmp_path / "shop")
    found = python_blocks(page)
    for block in found:
        if block.path:
            project.write(block)
    project.manage("check", "--fail-level=WARNING")
    for arguments in re.findall(
        r"^python manage.py ((?:makemigrations|migrate|test)\b.*)$", page.read_text(), re.MULTILINE
    ):
        project.manage(*arguments.split())
    with project.worker():
        project.run(page.name, [block for block in found if not block.path])
