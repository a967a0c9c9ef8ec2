"""The leases of worker processes, and what becomes of the messages of one that is lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from django_machinery.drivers.redis import parking
from django_machinery.drivers.redis.keys import LEASES, QUEUES, QueueKeys, queue_keys
from django_machinery.drivers.redis.script import Command, Script

if TYPE_CHECKING:
    from django_machinery.drivers.redis.client import Client

REMEMBERED = 24 * 3600 * 1000
"""Milliseconds for which a lost token is known as such: for a process that was stopped, and wakes up."""
ON_ITS_WAY = 60 * 1000
"""Milliseconds after which no command of a lost process can arrive any more."""

_RENEW, _LOSE, _AGES = Script("renew"), Script("lose"), Script("ages")
_RECLAIM = Script("bell", "fields", "reclaim")
_GIVE_BACK, _UNLAND = Script("bell", "fields", "give_back"), Script("bell", "fields", "unland")

Holder = tuple[QueueKeys, str]
"""A queue, and the token of a process that may hold something of it."""


class Leases:
    def __init__(self, client: Client, lease: float) -> None:
        self._client = client
        self._lease = round(lease * 1000)
        self._landed: dict[Holder, bytes] = {}
        """What lay in a process's landing list at the last sweep."""

    def renew(self, tokens: Collection[str]) -> set[str]:
        ordered = list(tokens)
        held = self._client.call(LEASES, _RENEW([LEASES], self._lease, *ordered)) if ordered else []
        return {token for token, is_held in zip(ordered, held, strict=True) if is_held}

    def reclaim(self, token: str, *, blame: bool) -> int:
        self._lose(token)
        count = self._reclaim([(keys, token) for keys in self._queues()], {}, blame=blame)
        self._unpark_forsaken()
        return count

    def resign(self, token: str) -> None:
        self._lose(token)
        self._client.calls([(keys.queue, give_back(keys, token)) for keys in self._queues()])
        self._unpark_forsaken()

    def sweep(self) -> int:
        """Look at the holders first: one that enlists meanwhile is not among them, and so not taken for dead."""
        holders = self._holders()
        ages = self._ages(holders)
        living = [(keys, token) for keys, token in holders if ages[token] == -1]
        self._return_landed(living)
        count = self._reclaim([(keys, token) for keys, token in holders if ages[token] != -1], ages)
        consumed = {keys.queue: keys for keys, _ in living}
        self._client.calls([(keys.queue, parking.unpark_due(keys)) for keys in consumed.values()])
        self._unpark(consumed)
        return count

    def _unpark_forsaken(self) -> None:
        """A process has ended: what is parked of queues that nobody consumes any more goes back. Ends no lease."""
        holders = self._holders()
        tokens = [token for _, token in holders]
        ends = self._client.call(LEASES, ("ZMSCORE", LEASES, *tokens)) if tokens else []
        seconds, _ = self._client.call(LEASES, ("TIME",))
        now = int(seconds) * 1000
        self._unpark({keys.queue for (keys, _), end in zip(holders, ends, strict=True) if float(end or 0) > now})

    def _unpark(self, consumed: Collection[str]) -> None:
        """Of all queues but these everything that is parked goes back."""
        forsaken = [keys for keys in self._queues() if keys.queue not in consumed]
        self._client.calls([(keys.queue, parking.unpark_all(keys)) for keys in forsaken])

    def _ages(self, holders: Sequence[Holder]) -> dict[str, int]:
        """See `ages.lua`, which ends leases, too."""
        tokens = sorted({token for _, token in holders})
        return dict(zip(tokens, self._client.call(LEASES, _AGES([LEASES], REMEMBERED, *tokens)), strict=True))

    def _lose(self, token: str) -> None:
        self._client.call(LEASES, _LOSE([LEASES], token))

    def _queues(self) -> list[QueueKeys]:
        return [queue_keys(name.decode()) for name in self._client.call(QUEUES, ("SMEMBERS", QUEUES))]

    def _holders(self) -> list[Holder]:
        queues = self._queues()
        found = self._client.calls([(keys.queue, ("SMEMBERS", keys.holders)) for keys in queues])
        return [(keys, token.decode()) for keys, tokens in zip(queues, found, strict=True) for token in tokens]

    def _reclaim(self, holders: Sequence[Holder], ages: dict[str, int], *, blame: bool = True) -> int:
        """`ages`: milliseconds since the leases ended, -2 where that is forgotten; a token without one ends now."""
        lengths = self._client.calls([(keys.queue, ("HLEN", keys.held(token))) for keys, token in holders])
        totals: dict[str, int] = {}
        for (_, token), length in zip(holders, lengths, strict=True):
            totals[token] = totals.get(token, 0) + length
        commands = []
        for keys, token in holders:
            age = ages.get(token, 0)
            flags = (int(blame and totals[token] == 1), int(age == -2 or age > ON_ITS_WAY))
            places = (keys.held(token), keys.landing(token), keys.queue, keys.suspects, keys.holders)
            commands.append((keys.queue, _RECLAIM(places, token, *flags)))
        return sum(self._client.calls(commands))

    def _return_landed(self, holders: Sequence[Holder]) -> None:
        """Give back what a living process has let lie since the last sweep: it does not fetch, others may."""
        heads = self._client.calls([(keys.queue, ("LINDEX", keys.landing(token), 0)) for keys, token in holders])
        landed = {holder: head for holder, head in zip(holders, heads, strict=True) if head is not None}
        left = [holder for holder, head in landed.items() if self._landed.get(holder) == head]
        self._client.calls([(keys.queue, unland(keys, token)) for keys, token in left])
        self._landed = landed


def give_back(keys: QueueKeys, token: str, fields: Sequence[bytes] = ()) -> Command:
    """The command that gives messages back, uncounted; without fields, all that the process has of this queue."""
    places = (keys.held(token), keys.landing(token), keys.queue, keys.suspects, keys.urgent, keys.bell)
    return _GIVE_BACK(places, *fields)


def unland(keys: QueueKeys, token: str) -> Command:
    """The command that gives back what came to a process while it waited, and is not claimed."""
    return _UNLAND([keys.landing(token), keys.queue])
