"""What the page of one task shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from django_machinery.admin import looks
from django_machinery.admin.shown import Shown
from django_machinery.models import Attempt, Schedule, TaskState
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
    attempts = attempts_shown(Attempt.objects.filter(uuid=task.uuid), shown)
    return {
        "task": task,
        "final": task.state in FINAL,
        "actions": [action for action in actions if is_sensible(action.name, task.state)],
        "steps": _timed(_steps(task, [attempt["row"] for attempt in reversed(attempts)])),
        "attempts": attempts,
        "arguments": [(name, looks.pretty(value)) for name, value in shown.arguments or ()],
        "results": _results(task, shown),
        "error": shown.text(task.error),
        "traceback": shown.text(task.traceback),
        "progress": progress_shown(task.progress_done, task.progress_total, task.progress_note),
        "links": _with_states(list(_links(task, shown.signature))),
        "schedule": Schedule.objects.filter(pk=task.schedule_id).first() if task.schedule_id else None,
        "waited": looks.duration(looks.between(max(task.created_at, task.eta or task.created_at), task.started_at)),
        "ran": looks.duration(looks.between(task.started_at, task.finished_at)),
    }


def is_sensible(action: str, state: str) -> bool:
    """Would that action change anything of a task in that state?"""
    if state in FINAL:
        return action in ("retry", "remove")
    return action in ("cancel", "cancel_hard") or (action == "run_now" and state in (PENDING, RETRY))


def _steps(task: TaskState, attempts: Sequence[Attempt]) -> Iterator[Step]:
    yield Step(_("Sent"), task.created_at, "pending", _("to queue %s") % task.queue)
    if task.eta and task.eta > task.created_at:
        yield Step(_("Due"), task.eta, "pending")
    for attempt in attempts:
        if attempt.generation == task.generation and attempt.outcome == "retry":
            note = " ".join(filter(None, (attempt.exception, attempt.worker)))
            yield Step(_("Attempt %d failed") % attempt.number, attempt.ended_at, "retry", note)
    if task.received_at:
        yield Step(_("Received"), task.received_at, "received", task.worker)
    if task.started_at:
        yield Step(_("Started"), task.started_at, "started", _("attempt %d") % task.attempt)
    if task.finished_at:
        label = _("Succeeded") if task.state == SUCCESS else _("Failed")
        yield Step(label, task.finished_at, task.state.lower(), task.reason)


def _timed(steps: Iterator[Step]) -> list[Step]:
    """The steps in the order of their times, each with what it took."""
    ordered = sorted(steps, key=lambda step: step.at.timestamp() if step.at else 0.0)
    for before, step in pairwise(ordered):
        step.took = looks.duration(looks.between(before.at, step.at))
    return ordered


def attempts_shown(rows: QuerySet[Attempt], shown: Shown) -> list[dict[str, Any]]:
    """The latest of a task's runs, the newest first."""
    return [
        {
            "row": attempt,
            "took": looks.duration(looks.between(attempt.started_at, attempt.ended_at)),
            "error": shown.text(attempt.error),
            "traceback": shown.text(attempt.traceback),
        }
        for attempt in rows.order_by("-generation", "-number")[:NEIGHBOURS]
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
