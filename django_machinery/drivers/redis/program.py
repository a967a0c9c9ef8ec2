"""What `commit.lua` is told: items, each with states to write, messages to send and a delivery to settle."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from django_machinery.drivers.redis.script import Command, Script, Word
from django_machinery.protocol.codec import DEFAULT_LIMITS, Limits, encode_state
from django_machinery.protocol.json_text import encode_string, encoder, escape
from django_machinery.protocol.states import PENDING, STATES, TaskState
from django_machinery.protocol.times import ZERO_TIME, now_text

if TYPE_CHECKING:
    from django_machinery.drivers.redis.lanes import Lane
    from django_machinery.seams.backend import StateChange

LOST, DONE, OVERTAKEN, ANEW = range(4)
"""What became of an item: see `commit.lua`."""

SHORT = 150
"""Bytes of results that are within all limits, however they are made up."""

_COMMIT = Script("state", "bell", "commit")
_HEAD = len('{"TaskUUID":"","TaskName":""')
_TAIL = len(f',"CreatedAt":"{ZERO_TIME}","TTL":0}}')

_is_plain = re.compile(r"[\w:.-]*", re.ASCII).fullmatch
"""Whether a UUID is its own JSON."""


class Program:
    """Collects items; `command` is what Redis runs. `keep`: seconds that states are kept, each within `limits`."""

    def __init__(self, keep: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self.items = 0
        self._keep = keep
        self._limits = limits
        self._states: list[Word] = []
        self._places: dict[str, int] = {}
        """Key of a hash, list, sorted set or counter -> its index among those, from 1."""
        self._types = ""
        self._args: list[Word] = []
        self._head: tuple[int, int, bool, bool] | None = None
        """Of the item that is open: where its first word is to be, its place, `settles` and `decides`."""
        self._modes = ""
        self._messages = 0

    def item(self, held: str = "", field: Word = "", *, settles: bool = False, decides: bool = False) -> None:
        """Begin an item: what follows belongs to it, and counts only if its delivery, if there is one, is still held.

        With `decides` it counts only if its first state is not overtaken.
        """
        self._end_item()
        self.items += 1
        place = self._place(held, "h") if held else 0
        self._head = len(self._args), place, settles, decides
        self._args.append("")
        if held:
            self._args.append(field)

    def state(self, change: StateChange) -> None:
        """Let the item write a state. Raises EncodeError."""
        signature = change.signature
        uuid = signature.uuid
        name = _name(signature.name) if _is_plain(uuid) else _head(uuid, signature.name)
        self._states.append(uuid)
        self._args += (name, _body(change, self._limits))
        self._modes += _mode(change)

    def message(self, lane: Lane, body: bytes) -> None:
        """Let the item send a message: after all its states."""
        index, *_ = [self._place(key, kind) for key, kind in lane.places]
        self._args += (f"{lane.kind}{index}", body) if lane.kind == "L" else (f"{lane.kind}{index}", lane.score, body)
        self._messages += 1

    @property
    def key(self) -> str:
        """One of the keys that it touches, by which a Cluster finds them."""
        return str(self._states[0]) if self._states else next(iter(self._places))

    @property
    def command(self) -> Command:
        """Running it returns a number for each item, in order: LOST, DONE, OVERTAKEN or ANEW."""
        self._end_item()
        keys = [*self._states, *self._places]
        made_now = f',"CreatedAt":"{now_text()}","TTL":0}}'
        return _COMMIT(keys, self._keep, made_now, len(self._states), self._types, *self._args)

    def _end_item(self) -> None:
        if self._head is not None:
            at, place, settles, decides = self._head
            self._args[at] = f"{place}:{settles:d}:{decides:d}:{self._modes}:{self._messages}"
            self._head, self._modes, self._messages = None, "", 0

    def _place(self, key: str, kind: str) -> int:
        index = self._places.get(key)
        if index is None:
            index = self._places[key] = len(self._places) + 1
            self._types += kind
        return index


def _mode(change: StateChange) -> str:
    if change.if_absent:
        return "A"
    return "N" if change.state == PENDING else "S"


def _head(uuid: str, name: str) -> bytes:
    """A state up to its name."""
    return b'{"TaskUUID":%b,"TaskName":%b' % (encode_string(uuid), encode_string(name))


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return encode_string(name)


def _body(change: StateChange, limits: Limits) -> bytes:
    """What a state says between its name and its time."""
    if change.results is None and not change.error:
        return _BARE[change.state]
    if change.error or len(results := escape(encoder.encode(change.results))) > SHORT:
        state = TaskState(state=change.state, results=change.results, error=change.error)
        return encode_state(state, limits)[_HEAD:-_TAIL]
    return b',"State":"%b","Results":%b,"Error":""' % (change.state.encode(), results)


_BARE = {state: b',"State":"%b","Results":null,"Error":""' % state.encode() for state in STATES}
"""States that say nothing else."""
