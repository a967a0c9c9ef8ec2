"""The dashboard at the app's admin index: is it healthy, what failed, what waits, who works."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models import Count, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_machinery.admin import looks
from django_machinery.admin.base import permitted
from django_machinery.admin.charts import chart
from django_machinery.admin.elsewhere import is_elsewhere
from django_machinery.admin.shown import Shown
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers
from django_machinery.inspector import Inspector
from django_machinery.inspector.inspector import FAILED
from django_machinery.models import Attempt, DeadLetter, Schedule, TaskState
from django_machinery.protocol.states import STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_machinery.server import Server

WINDOWS = {
    "1h": (timedelta(hours=1), _("1 h")),
    "24h": (timedelta(days=1), _("24 h")),
    "7d": (timedelta(days=7), _("7 d")),
}
ROWS = 10
"""Rows of each table."""


_DEAD = Subquery(
    DeadLetter.objects.filter(requeued_at=None)
    .order_by()
    .values("requeued_at")
    .annotate(Count("id"))
    .values("id__count")
)


def panels(request: HttpRequest, site: AdminSite) -> dict[str, Any]:
    """The variables of the dashboard. A panel is left out for users who may not see its rows."""
    alias = _chosen(request.GET.get("server"), list(servers))
    window = _chosen(request.GET.get("window"), list(WINDOWS))
    context: dict[str, Any] = {
        "server": alias,
        "servers": list(servers),
        "window": window,
        "windows": [(key, label) for key, (_span, label) in WINDOWS.items()],
        "refresh_url": reverse("admin:machinery_taskstate_dashboard", current_app=site.name),
        "may": _permissions(request),
        "problems": [],
    }
    try:
        inspector = Inspector(servers[alias])
    except MachineryError as error:
        return {**context, "problems": [str(error)]}
    context["tasks_url"] = _tasks_url(servers[alias], site)
    context["elsewhere"] = is_elsewhere(servers[alias])
    for permission, panel in _PANELS:
        if context["may"][permission]:
            _add(context, panel, inspector, WINDOWS[window][0])
    if context["elsewhere"] and context["may"]["taskstate"]:
        context |= {"newest_failure": None, "newest_attempt": _newest_attempt(alias, inspector)}
    if context["may"]["deadletter"]:
        context["dead"] = _dead(context)
    return context


def _tasks_url(server: Server, site: AdminSite) -> str:
    """Where the tasks of a server are listed, as far as the values of `state` and `name`."""
    page = "find" if is_elsewhere(server) else "changelist"
    url = reverse(f"admin:machinery_taskstate_{page}", current_app=site.name)
    return f"{url}?{urlencode({'server': server.config.alias})}&" if page == "find" else f"{url}?"


def _chosen(wanted: str | None, choices: list[str]) -> str:
    return wanted if wanted in choices else choices[0]


def _permissions(request: HttpRequest) -> dict[str, bool]:
    models = ("taskstate", "deadletter", "queuecontrol", "workerprocess", "schedule")
    return {model: permitted(request, "view", model) for model in models}


def _add(
    context: dict[str, Any],
    panel: Callable[[Inspector, timedelta], dict[str, Any]],
    inspector: Inspector,
    window: timedelta,
) -> None:
    """Add a panel's variables; a store that does not answer costs its panel alone."""
    try:
        context |= panel(inspector, window)
    except MachineryError as error:
        context["problems"].append(str(error))


def _tasks(inspector: Inspector, window: timedelta) -> dict[str, Any]:
    counts = inspector.counts()
    return {
        "counts": [(state, state.lower(), counts.get(state, 0)) for state in STATES],
        "newest_failure": _newest_failure(),
        "failures": inspector.failures()[:ROWS],
        "chart": chart(inspector.throughput(window), window),
    }


def _newest_failure() -> tuple[TaskState, str, datetime] | None:
    """The task whose run failed last, retried or not; the error as it may be shown, and when it was.

    With the number of dead letters beside the task: all in one query.
    """
    newest = Attempt.objects.filter(outcome__in=FAILED).order_by("-ended_at", "-id")
    uuid, error, ended = (Subquery(newest.values(column)[:1]) for column in ("uuid", "error", "ended_at"))
    tasks = TaskState.objects.filter(uuid=uuid).annotate(dead=_DEAD, run_error=error, failed_at=ended)
    task = tasks.defer("results", "error", "traceback").first()
    return None if task is None else (task, Shown.of(task).text(task.run_error), task.failed_at)


def _newest_attempt(alias: str, inspector: Inspector) -> tuple[Attempt, str] | None:
    """The newest failure where states are elsewhere, and its error as it may be shown."""
    attempt = inspector.newest_failure()
    return None if attempt is None else (attempt, Shown(alias, "").text(attempt.error))


def _latency(inspector: Inspector, window: timedelta) -> dict[str, Any]:
    latency = inspector.latency(window)
    return {
        "latency": [
            (label, [(share, looks.duration(getattr(figures, share, None))) for share in ("p50", "p95", "p99")])
            for label, figures in ((_("Wait"), latency.wait), (_("Run"), latency.run))
        ],
        "slow": [
            (task.name, task.count, looks.duration(task.p95), looks.duration(task.longest))
            for task in inspector.slow(window)[:ROWS]
        ],
    }


def _dead(context: dict[str, Any]) -> int:
    """How many dead letters wait for somebody."""
    newest = context.get("newest_failure")
    return newest[0].dead or 0 if newest else DeadLetter.objects.filter(requeued_at=None).count()


def _queues(inspector: Inspector, window: timedelta) -> dict[str, Any]:
    return {"queues": [(queue, looks.duration(queue.oldest_age)) for queue in inspector.queues()]}


def _workers(inspector: Inspector, window: timedelta) -> dict[str, Any]:
    shown = inspector.workers()[: ROWS * 2]
    return {"workers": [(worker, looks.life(worker), looks.megabytes(worker.rss)) for worker in shown]}


def _schedules(inspector: Inspector, window: timedelta) -> dict[str, Any]:
    return {"schedules": list(Schedule.objects.upcoming(ROWS))}


_PANELS = (
    ("taskstate", _tasks),
    ("taskstate", _latency),
    ("queuecontrol", _queues),
    ("workerprocess", _workers),
    ("schedule", _schedules),
)
