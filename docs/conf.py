"""Sphinx: MyST pages and docstrings. Built with warnings as errors (`tox -e docs`)."""

import os
import sys
import tomllib
from pathlib import Path

import django

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
