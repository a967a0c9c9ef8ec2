"""What is kept where.

Go's keys: a queue is a list of that name; `delayed_tasks` (REDIS_DELAYED_TASKS_KEY) a sorted set of messages by their
ETA in nanoseconds; the state of a task and the meta of a group are strings under their UUIDs; a lock is a string.

Beside a queue, in the slot of the queue so that one script may touch them together in a Cluster:

    urgent        sorted set   messages with a priority, where REDIS_PRIORITIES is on: number and body, by -priority
    bell          list         rung when something comes into `urgent`, for those who wait: never longer than that was
    held:TOKEN    hash         what a worker process has claimed: field (see below) -> body
    landing:TOKEN list         what came to a process that waited: not claimed yet, so counted nowhere
    suspects      list         "claims:crashes:body" of messages that were held by a process that crashed
    parked        sorted set   "field|body" of messages whose task a worker did not know, by the time to try again
    holders       set          the tokens of all processes that may hold something of this queue
    counter       integer      the number of the last claim

A field is "number:nonce" with ":u:priority:place" for what was in `urgent` and ":s:claims:crashes" for a suspect. The
number is of the queue and the nonce of the claim, so that no field is ever used again, not even when a failover loses
the counter.

Beside a group, in its slot: `members` (list of UUIDs), `cursor` (how many of them were final when last looked at),
`fresh` (while no state of a member can have expired) and `trigger` (who sends the callback of the chord). And for all
queues: `machinery:leases`, a sorted set of the tokens by the time, in milliseconds, at which their leases end, negative
since when they are lost; `machinery:queues`, the set of all queues that were ever consumed.
"""

from __future__ import annotations

from functools import lru_cache

LEASES = "machinery:leases"
QUEUES = "machinery:queues"
CHORD_MUTEX = "TriggerChordMutex"
"""Go's one lock for all chords (backends/redis/redis.go:119)."""


class QueueKeys:
    """The keys of one queue, under which `queue` is its own name."""

    __slots__ = ("bell", "counter", "holders", "parked", "prefix", "queue", "suspects", "urgent")

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.prefix = _beside(queue)
        self.urgent = self.prefix + "urgent"
        self.bell = self.prefix + "bell"
        self.suspects = self.prefix + "suspects"
        self.parked = self.prefix + "parked"
        self.holders = self.prefix + "holders"
        self.counter = self.prefix + "counter"

    def held(self, token: str) -> str:
        return f"{self.prefix}held:{token}"

    def landing(self, token: str) -> str:
        return f"{self.prefix}landing:{token}"


class GroupKeys:
    """The keys of one group, under which `meta` is Go's."""

    __slots__ = ("cursor", "fresh", "members", "meta", "trigger")

    def __init__(self, uuid: str) -> None:
        prefix = _beside(uuid)
        self.meta = uuid
        self.members = prefix + "members"
        self.cursor = prefix + "cursor"
        self.fresh = prefix + "fresh"
        self.trigger = prefix + "trigger"


@lru_cache(maxsize=1024)
def queue_keys(queue: str) -> QueueKeys:
    """The keys of a queue."""
    return QueueKeys(queue)


def _beside(name: str) -> str:
    """A prefix for keys in the slot of `name`, which a Cluster finds by what is in the first braces of a key.

    A name that has a closing brace and nothing in braces has no such prefix: a Cluster refuses it (CROSSSLOT).
    """
    in_braces = name.partition("{")[2].partition("}")
    return f"machinery::{name}:" if in_braces[0] and in_braces[1] else f"machinery:{{{name}}}:"
