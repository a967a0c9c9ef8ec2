"""Sphinx: MyST pages and docstrings. Built with warnings as errors (`tox -e docs`)."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import django
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
django.setup()

project = "django_machinery"
author = "django_machinery contributors"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django_machinery {release}"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
nitpicky = True
# Types in signatures link to pages of this documentation only: others' are not fetched to build it.
nitpick_ignore_regex = [("py:.*", r".*")]
default_role = "code"


def draw_tree(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Keep the tree of exceptions as it is drawn."""
    if name == "django_machinery.exceptions":
        lines[1:] = ["", "::", "", *(f"    {line}" for line in lines[2:])]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", draw_tree)
