"""How many tasks there are in each state, without reading them all."""

from __future__ import annotations

import random
from collections import Counter

from django.db import connections
from django.db.models import Count, Max, Min

from django_machinery.models import TaskState
from django_machinery.protocol.states import STATES

EXACT = 100_000
"""Up to so many ids all rows are counted."""
BOUND = 20_000
"""Beyond that a state is counted up to here; of more there are about as many as a sample tells."""
SAMPLE = 2000
"""Rows looked at: a state that one task in fifty is in is told to within a sixth, a half of them to within a fiftieth.
"""


def count_states(alias: str, server: str) -> dict[str, int]:
    """The number of a server's tasks in each state."""
    tasks = TaskState.objects.using(alias)
    first, last = tasks.aggregate(Min("id"), Max("id")).values()
    if first is None or last - first < EXACT:
        found = tasks.filter(server=server).order_by().values_list("state").annotate(Count("id"))
        return {**dict.fromkeys(STATES, 0), **dict(found)}
    bounded = _bounded(alias, server)
    if all(count <= BOUND for count in bounded.values()):
        return bounded
    sampled = _sampled(alias, server, first, last)
    return {state: count if count <= BOUND else max(sampled[state], count) for state, count in bounded.items()}


def _bounded(alias: str, server: str) -> dict[str, int]:
    """In one statement: how many of each state, up to one more than `BOUND`."""
    part = f"SELECT 1 AS one FROM machinery_task_state WHERE state = %s AND server = %s LIMIT {BOUND + 1}"
    columns = ", ".join([f"(SELECT COUNT(*) FROM ({part}) AS some)"] * len(STATES))
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {columns}", [value for state in STATES for value in (state, server)])
        return dict(zip(STATES, cursor.fetchone(), strict=True))


def _sampled(alias: str, server: str, first: int, last: int) -> Counter[str]:
    """About how many of each state: the ids looked at are spread evenly, the same each time while none are added."""
    span = last - first + 1
    dice = random.Random(0)
    ids = [first + int((number + dice.random()) * span / SAMPLE) for number in range(SAMPLE)]
    found = TaskState.objects.using(alias).filter(server=server, id__in=ids).values_list("state", flat=True)
    return Counter({state: count * span // SAMPLE for state, count in Counter(found).items()})
