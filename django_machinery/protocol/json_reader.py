"""JSON as Go's encoding/json reads it, for texts that are not written as it writes them.

Keeps what a general reader loses and Go's rules need: duplicate keys and their order, the text of numbers, whether a
string had escapes. Bytes that are not UTF-8 and lone surrogates become U+FFFD, one each. Does not recurse.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple, TypeAlias

from msgspec import Raw

from django_machinery.exceptions import DecodeError

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATES = re.compile("[\ud800-\udfff]")
_STRINGS = JSONDecoder()
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}


class Number(NamedTuple):
    """A number as it was written."""

    text: str


class Escaped(str):
    """A string that was written with escapes."""

    __slots__ = ()


class Pairs:
    """An object: its members in the order in which they were written, duplicates included."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: list[tuple[str, Any]] = []


Node: TypeAlias = "Pairs | list[Any] | str | Number | bool | None"


def read_json(text: bytes, *, max_depth: int, max_elements: int) -> Node:
    """The first JSON value of a text; what follows it is not looked at. DecodeError for bad text or beyond a bound."""
    unicode = text.decode("utf-8", "surrogateescape")
    return _Reader(_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", unicode), max_depth, max_elements).read()


def plain_value(node: Node, max_depth: int) -> Any:
    """The node as dict, list, str, Raw (a number), bool and None. Of duplicate keys the last wins.

    DecodeError if it nests deeper than `max_depth`.
    """
    if isinstance(node, Number):
        return Raw(node.text.encode())
    if max_depth == 0 and isinstance(node, Pairs | list):
        raise DecodeError("a value has too many levels")
    if isinstance(node, Pairs):
        return {str(key): plain_value(value, max_depth - 1) for key, value in node.members}
    if isinstance(node, list):
        return [plain_value(item, max_depth - 1) for item in node]
    return str(node) if isinstance(node, str) else node


class _Reader:
    def __init__(self, text: str, max_depth: int, max_elements: int) -> None:
        self.text = text
        self.position = 0
        self.max_depth = max_depth
        self.elements_left = max_elements + 1  # the message itself is none

    def read(self) -> Node:
        """Reads values until the outermost is complete. `stack` holds the containers that are open."""
        stack: list[Pairs | list[Any]] = []
        keys: list[str] = []
        while True:
            value = self._start_value()
            if isinstance(value, Pairs | list):
                if len(stack) == self.max_depth:
                    raise DecodeError(f"more than {self.max_depth} levels")
                if not self._closes_at_once(value):
                    stack.append(value)
                    self._before_member(value, keys)
                    continue
            while stack:
                self._add(stack[-1], keys, value)
                if self._continues(stack[-1]):
                    self._before_member(stack[-1], keys)
                    break
                value = stack.pop()
            else:
                return value

    def _start_value(self) -> Node:
        """A scalar, or an empty container of which only the opening bracket has been read."""
        self.elements_left -= 1
        if self.elements_left < 0:
            raise DecodeError("too many elements")
        character = self._peek()
        if character == '"':
            return self._string()
        if character == "{":
            self.position += 1
            return Pairs()
        if character == "[":
            self.position += 1
            return []
        return self._literal(character) if character in _LITERALS else self._number()

    def _closes_at_once(self, container: Pairs | list[Any]) -> bool:
        if self._peek() != ("}" if isinstance(container, Pairs) else "]"):
            return False
        self.position += 1
        return True

    def _before_member(self, container: Pairs | list[Any], keys: list[str]) -> None:
        if isinstance(container, Pairs):
            if self._peek() != '"':
                raise self._unexpected()
            keys.append(self._string())
            self._expect(":")

    def _add(self, container: Pairs | list[Any], keys: list[str], value: Node) -> None:
        if isinstance(container, Pairs):
            container.members.append((keys.pop(), value))
        else:
            container.append(value)

    def _continues(self, container: Pairs | list[Any]) -> bool:
        if self._peek() == ",":
            self.position += 1
            return True
        self._expect("}" if isinstance(container, Pairs) else "]")
        return False

    def _peek(self) -> str:
        """The next character that is no space; the empty string at the end."""
        character = self.text[self.position : self.position + 1]
        if character > " ":
            return character
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()
        return self.text[self.position : self.position + 1]

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._unexpected()
        self.position += 1

    def _string(self) -> str:
        start = self.position
        value: str
        try:
            value, self.position = _STRINGS.raw_decode(self.text, start)
        except JSONDecodeError as error:
            raise DecodeError(f"{error.msg} at character {error.pos}") from error
        if self.position - start == len(value) + 2:
            return value
        return Escaped(_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value))

    def _number(self) -> Number:
        match = _NUMBER.match(self.text, self.position)
        if match is None:
            raise self._unexpected()
        self.position = match.end()
        return Number(match[0])

    def _literal(self, character: str) -> bool | None:
        word, value = _LITERALS[character]
        if not self.text.startswith(word, self.position):
            raise self._unexpected()
        self.position += len(word)
        return value

    def _unexpected(self) -> DecodeError:
        found = self.text[self.position : self.position + 1]
        where = f"{found!r} at character {self.position}" if found else "the end"
        return DecodeError(f"unexpected {where}")
