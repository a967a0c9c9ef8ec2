"""How a supervisor hands its children the settings that it has accepted of files, whatever these say by then.

Through a file without a name. Its descriptor is named by a variable that the child takes out of its environment, so
that tasks, and programs that they start, see neither it nor the settings, which hold passwords.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

VARIABLE = "MACHINERY_INHERITED_SETTINGS"


@contextmanager
def handing_down(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """What a child needs to inherit the settings of some files: variables, and descriptors to pass on."""
    if not settings:
        yield {}, ()
        return
    # In memory where that can be: there need not be a directory that may be written to.
    anonymous = os.memfd_create("machinery-settings") if sys.platform == "linux" else None
    with tempfile.TemporaryFile() if anonymous is None else os.fdopen(anonymous, "w+b") as file:
        file.write(json.dumps(settings).encode())
        file.seek(0)
        yield {VARIABLE: str(file.fileno())}, (file.fileno(),)


@cache
def inherited() -> Mapping[str, Mapping[str, Any]]:
    """The settings that this process has from a supervisor, by the path of their file; taken out when first asked."""
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is None:
        return {}
    try:
        with os.fdopen(int(descriptor), "rb") as file:
            settings: dict[str, dict[str, Any]] = json.load(file)
    except (OSError, ValueError):  # a program that the child's script has started before it read its settings
        return {}
    return settings
