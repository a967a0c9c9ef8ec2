"""Sphinx: MyST pages and docstrings. Built with warnings as errors (`tox -e docs`)."""

import os
import re
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
exclude_patterns = ["_build", "explanation/figures"]
html_theme = "furo"
html_title = f"django_machinery {release}"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
nitpicky = True
nitpick_ignore_regex = [
    # Others' documentation is not fetched to build this.
    ("py:.*", r"(?!django_machinery\.).*"),
    # Type variables, dicts of options that have a table, and what nobody makes or meets.
    (
        "py:class",
        r"django_machinery\..*\.([A-Z]|(Periodic|Task|Send)+Options|SignatureChanges|GoType|Run|(Context)?Decorator)",
    ),
]
default_role = "code"
PLURAL = re.compile(r"(`[^`]+`)(?=s\b)")


def adapt(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Read docstrings as they are meant: the tree of exceptions as drawn, `Arg`s as code and a plural."""
    if name == "django_machinery.exceptions":
        lines[1:] = ["", "::", "", *(f"    {line}" for line in lines[2:])]
    lines[:] = [PLURAL.sub(r"\1\\ ", line) for line in lines]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", adapt)
