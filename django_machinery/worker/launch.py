"""How a worker's child processes are started: the same way as this process, with another command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SCRIPTS = ("manage.py", "django-admin", "django-admin.py")


def management_command(*arguments: str) -> list[str]:
    """The command line of `manage.py <arguments>` for the project that runs here.

    Through the project's own script or `python -m django` where that is what runs here, since such scripts prepare the
    process; else through Django itself, with the settings and the search path of this process.
    """
    return [sys.executable, *_interpreter_options(), *_entry(), *arguments]


def child_environment() -> dict[str, str]:
    """This process's, with the settings module that is in use here."""
    from django.conf import settings

    module = getattr(settings, "SETTINGS_MODULE", None)
    return {**os.environ, "DJANGO_SETTINGS_MODULE": module} if module else dict(os.environ)


def _interpreter_options() -> list[str]:
    warnings = [f"-W{option}" for option in sys.warnoptions]
    return warnings + [f"-X{key}" if value is True else f"-X{key}={value}" for key, value in sys._xoptions.items()]


def _entry() -> list[str]:
    script = Path(sys.argv[0])
    if script.name in SCRIPTS and script.is_file():
        return [str(script)]
    if getattr(sys.modules["__main__"].__spec__, "name", "") == "django.__main__":
        return ["-m", "django"]
    return ["-c", _DJANGO, os.pathsep.join(sys.path)]


# Not PYTHONPATH, which programs that tasks start would inherit.
_DJANGO = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from django.core.management import execute_from_command_line
execute_from_command_line()
"""
