"""How many tasks there are in each state, without reading them all."""

from __future__ import annotations

import random
from collections import Counter

from django.db import connections
from django.db.models import Count, QuerySet

from django_machinery.models import TaskState
from django_machinery.protocol.states import STATES
from django_machinery.seams.backend import Estimate

EXACT = 100_000
"""Up to so many tasks in all each is counted."""
BOUND = 25_000
"""Of more than those, up to so many in one state."""
SAMPLE = 2000
"""Rows looked at for the rest: half of all tasks are told to within a fortieth, a twentieth of them to within a tenth.
"""

# The order has the index on (state, created_at) read, and nothing but that.
_BOUNDED = "(SELECT COUNT(*) FROM (SELECT 1 FROM machinery_task_state WHERE {} ORDER BY created_at LIMIT {}) bounded)"


def count_states(alias: str, server: str | None) -> dict[str, int]:
    """The number of tasks in each state; of one server, or of all: that is quicker, for the index knows no servers."""
    first, last, counts = _bounded(alias, server)
    many = [state for state, count in counts.items() if count > BOUND]
    if not many:
        return counts
    tasks = TaskState.objects.using(alias)
    tasks = tasks if server is None else tasks.filter(server=server)
    if last - first < EXACT:
        return {**counts, **dict(tasks.order_by().values_list("state").annotate(Count("id")))}
    sampled = _sampled(tasks, first, last)
    few = sum(count for state, count in counts.items() if state not in many)
    share = (sampled.total() - few) / (sum(sampled[state] for state in many) or 1)
    return counts | {state: Estimate(max(round(sampled[state] * share), BOUND)) for state in many}


def _bounded(alias: str, server: str | None) -> tuple[int, int, dict[str, int]]:
    """In one statement: the first id and the last, and how many tasks each state has, up to one more than `BOUND`."""
    condition = "state = %s" if server is None else "state = %s AND server = %s"
    ends = [f"(SELECT {end}(id) FROM machinery_task_state)" for end in ("MIN", "MAX")]
    columns = ", ".join(ends + [_BOUNDED.format(condition, BOUND + 1)] * len(STATES))
    values = [value for state in STATES for value in (state, server) if value is not None]
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {columns}", values)
        first, last, *counts = cursor.fetchone()
        return first or 0, last or 0, dict(zip(STATES, counts, strict=True))


def _sampled(tasks: QuerySet[TaskState], first: int, last: int) -> Counter[str]:
    """About how many of each state: the ids looked at are spread evenly, the same each time while none are added."""
    span, dice = last - first + 1, random.Random(0)
    ids = {first + int((number + dice.random()) * span / SAMPLE) for number in range(SAMPLE)}
    found = Counter(tasks.filter(id__in=ids).values_list("state", flat=True))
    return Counter({state: count * span // len(ids) for state, count in found.items()})
