"""Fenced code blocks of a Markdown page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_PATH = re.compile(r"\A# ([\w./-]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A block of code and the line where it starts."""

    language: str
    text: str
    line: int

    @property
    def path(self) -> str | None:
        """The file that the block is (part of): named by a comment in its first line."""
        match = _PATH.match(self.text)
        return match[1] if match and self.language == "python" else None

    @property
    def is_pasted(self) -> bool:
        """Does it go into a terminal or a file, and not into Python's shell?"""
        return self.language == "sh" or self.path is not None


def blocks(page: Path, start: str = "", end: str = "") -> list[Block]:
    """The fenced blocks of a page in order; only those between the lines `start` and `end` where these are given."""
    return [block for block in _all(page.read_text(), start, end) if block.text]


def _all(source: str, start: str, end: str) -> Iterator[Block]:
    first = source.index(f"{start}\n") if start else 0
    last = source.index(f"{end}\n") if end else len(source)
    for match in _FENCE.finditer(source, first, last):
        yield Block(match["language"], match["text"], source.count("\n", 0, match.start()) + 2)
