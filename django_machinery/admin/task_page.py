"""What the page of one task shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from django_machinery.admin import looks
from django_machinery.admin.actions import ACT_ON_FILTER
from django_machinery.admin.shown import Shown
from django_machinery.models import Attempt, Message, Schedule, TaskState
from django_machinery.protocol.retry import fibonacci_next
from django_machinery.protocol.states import FINAL, PENDING, RETRY, SUCCESS

if TYPE_CHECKING:
    from django_machinery.admin.actions import OperatorAction
    from django_machinery.protocol.signature import Signature

NEIGHBOURS = 50
"""How many follow-ups and attempts a page lists."""


@dataclass
class Step:
    """One step of a task's history."""

    label: str
    at: datetime | None
    kind: str
    """The colour: a state in lower case."""
    note: str = ""
    took: str = ""
    """How long it took from the step before."""


@dataclass
class Link:
    """A task that has to do with this one."""

    role: str
    uuid: str
    name: str
    state: str = ""


def context(task: TaskState, actions: Sequence[OperatorAction]) -> dict[str, Any]:
    """The variables of the template."""
    shown = Shown.of(task)
    attempts = newest_first(Attempt.objects.filter(uuid=task.uuid))
    earlier = [each for each in attempts[::-1] if each.generation == task.generation and each.number < task.attempt]
    due = _due(task, earlier, shown.signature)
    started = _own_start(task, earlier)
    return {
        "task": task,
        "final": task.state in FINAL,
        "actions": [action for action in actions if is_sensible(action.name, task.state, task.name)],
        "steps": _timed(_steps(task, earlier, due)),
        "attempts": attempts_shown(attempts, shown, task.generation),
        "arguments": [(name, looks.pretty(value)) for name, value in shown.arguments or ()],
        "results": _results(task, shown),
        "error": shown.text(task.error),
        "traceback": shown.text(task.traceback),
        "progress": progress_shown(task.progress_done, task.progress_total, shown.text(task.progress_note)),
        "links": _with_states(list(_links(task, shown.signature))),
        "schedule": Schedule.objects.filter(pk=task.schedule_id).first() if task.schedule_id else None,
        "waited": looks.duration(looks.between(due, started)),
        "ran": looks.duration(looks.between(started, task.finished_at)),
    }


def is_sensible(action: str, state: str, name: str) -> bool:
    """Would that action change anything of a task in that state?"""
    if state in FINAL:
        return action == "remove" or (action == "retry" and name != ACT_ON_FILTER)
    waits = state in (PENDING, RETRY)
    return action == "cancel" or (action == "run_now" and waits) or (action == "cancel_hard" and not waits)


def _steps(task: TaskState, earlier: Sequence[Attempt], due: datetime | None) -> Iterator[Step]:
    """What happened since it was sent, or started anew; `earlier`: the attempts before the present one."""
    started = _own_start(task, earlier)
    yield Step(_("Sent"), task.created_at, "pending", _("to queue %s") % task.queue)
    if task.eta and task.created_at < task.eta and (earlier or not started or task.eta <= started):
        yield Step(_("Due"), task.eta, "pending")
    for attempt in earlier:
        yield from _earlier_steps(attempt)
    if earlier and due and (not started or due <= started):  # else it was run before its time
        yield Step(_("Due"), due, "pending", _("attempt %d") % task.attempt)
    if started:
        if task.received_at:
            yield Step(_("Received"), task.received_at, "received", task.worker)
        yield Step(_("Started"), started, "started", _("attempt %d") % task.attempt)
    elif task.received_at and not earlier:
        yield Step(_("Received"), task.received_at, "received", task.worker)
    if task.finished_at:
        label = _("Succeeded") if task.state == SUCCESS else _("Failed")
        yield Step(label, task.finished_at, task.state.lower(), task.reason)


def _earlier_steps(attempt: Attempt) -> Iterator[Step]:
    """An attempt after which the task was to run again."""
    if attempt.started_at:
        yield Step(_("Started"), attempt.started_at, "started", _("attempt %d") % attempt.number)
    asked = attempt.outcome == "retry"
    label = _("Attempt %d asked to be run later") if asked else _("Attempt %d failed")
    note = " ".join(filter(None, (attempt.exception, attempt.worker)))
    yield Step(label % attempt.number, attempt.ended_at, "retry", note)


def _own_start(task: TaskState, earlier: Sequence[Attempt]) -> datetime | None:
    """When the present attempt began: until it has, the row has the times of the one before."""
    return None if task.started_at in {attempt.started_at for attempt in earlier} else task.started_at


def _due(task: TaskState, earlier: Sequence[Attempt], signature: Signature | None) -> datetime | None:
    """From when on the present attempt waited for a worker; None where nobody can tell.

    After an error that is as long after as `followups.again` says. How long a task asked to rest is known only while
    its message waits in this database.
    """
    if not earlier:
        return max(task.created_at, task.eta or task.created_at)
    if task.state == RETRY:
        waiting = Message.objects.filter(uuid=task.uuid).values_list("due_at", flat=True).first()
        if waiting is not None:
            return waiting
    if signature is None or earlier[-1].outcome == "retry":
        return None
    seconds = signature.retry_timeout
    for attempt in earlier:
        seconds = fibonacci_next(seconds) if attempt.outcome != "retry" else seconds
    return earlier[-1].ended_at + timedelta(seconds=seconds)


def _timed(steps: Iterator[Step]) -> list[Step]:
    """The steps in the order of their times, each with what it took."""
    ordered = sorted(steps, key=lambda step: step.at.timestamp() if step.at else 0.0)
    for before, step in pairwise(ordered):
        step.took = looks.duration(looks.between(before.at, step.at))
    return ordered


def newest_first(attempts: QuerySet[Attempt]) -> list[Attempt]:
    """The latest of a task's runs that did not succeed."""
    return list(attempts.order_by("-generation", "-number")[:NEIGHBOURS])


def attempts_shown(attempts: Sequence[Attempt], shown: Shown, generation: int = 0) -> list[dict[str, Any]]:
    """Runs as the page has them; `generation`: how often the task was started anew, where that is known."""
    again = generation or any(attempt.generation for attempt in attempts)
    label = _("Attempt %(attempt)d of run %(run)d") if again else _("Attempt %(attempt)d")
    return [
        {
            "row": attempt,
            "label": label % {"attempt": attempt.number, "run": attempt.generation + 1},
            "took": looks.duration(looks.between(attempt.started_at, attempt.ended_at)),
            "error": shown.text(attempt.error),
            "traceback": shown.text(attempt.traceback),
        }
        for attempt in attempts
    ]


def _results(task: TaskState, shown: Shown) -> list[tuple[str, str]] | None:
    """Type and value of each; None while there are none."""
    if task.results is None:
        return None
    try:
        return [(str(result["Type"]), shown.text(_json(result["Value"]))) for result in json.loads(task.results)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return [("", shown.text(task.results))]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def progress_shown(done: int | None, total: int | None, note: str) -> dict[str, Any] | None:
    """How far a task says it is; None: it says nothing."""
    if done is None:
        return None
    share = min(100, round(100 * done / total)) if total else None
    return {"done": done, "total": total, "share": share, "note": note}


def _links(task: TaskState, signature: Signature | None) -> Iterator[Link]:
    if task.parent_uuid:
        yield Link(_("Sent by the success of"), task.parent_uuid, "")
    if signature is None:
        return
    for step in signature.success_callbacks[:NEIGHBOURS]:
        yield Link(_("Next when it succeeds"), step.uuid, step.name)
    for step in signature.error_callbacks[:NEIGHBOURS]:
        yield Link(_("When it fails"), step.uuid, step.name)
    if signature.chord_callback is not None:
        yield Link(_("Callback of the chord"), signature.chord_callback.uuid, signature.chord_callback.name)


def _with_states(links: list[Link]) -> list[Link]:
    rows = TaskState.objects.filter(uuid__in=[link.uuid for link in links]) if links else TaskState.objects.none()
    known = {uuid: (name, state) for uuid, name, state in rows.values_list("uuid", "name", "state")}
    for link in links:
        name, link.state = known.get(link.uuid, (link.name, ""))
        link.name = link.name or name
    return links
