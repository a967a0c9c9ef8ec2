"""Scripts that Redis runs as one step, from the files in `scripts`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Word: TypeAlias = bytes | str | int | float
Command: TypeAlias = Sequence[Word]

_FOLDER = Path(__file__).parent / "scripts"


class Script:
    """One script: the files of these names, one after the other."""

    def __init__(self, *names: str) -> None:
        source = "\n".join((_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        _sources[self._sha] = source

    def __call__(self, keys: Sequence[Word], *args: Word) -> Command:
        """The command that runs it on a server that knows it."""
        return ("EVALSHA", self._sha, len(keys), *keys, *args)


def with_source(command: Command) -> Command:
    """The same command for a server that does not know the script, or that was restarted and has forgotten it."""
    return ("EVAL", _sources[str(command[1])], *command[2:])


_sources: dict[str, str] = {}
"""By SHA-1."""
