"""Task states: the list, the page of one task, and its raw data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_machinery import control
from django_machinery.admin import dashboard, looks, task_page
from django_machinery.admin.actions import OperatorAction
from django_machinery.admin.changelist import KeysetChangeList
from django_machinery.admin.elsewhere import ElsewhereAdmin
from django_machinery.admin.filters import (
    NameFilter,
    QueueFilter,
    ReasonFilter,
    StateFilter,
    WorkerFilter,
)
from django_machinery.admin.search import DECODED, HITS, WINDOW, Query
from django_machinery.admin.shown import Shown
from django_machinery.admin.time_filters import ExceptionFilter, FailedFilter, SentFilter
from django_machinery.models import TaskState
from django_machinery.protocol.states import FINAL

if TYPE_CHECKING:
    from django_machinery.server import Server

LONGEST_IN_LIST = 8_000
"""Characters of a signature that the list still decodes to show its arguments."""

_TIMES = '<span class="mq-word">{} </span>{}<span class="mq-under"><span class="mq-word">{} </span>{}</span>'
"""The words stand where a narrow page has no headings."""
_SHORT = Case(When(length__lte=LONGEST_IN_LIST, then=F("signature")), default=Value(""), output_field=TextField())


def _run_now(server: Server, uuids: Sequence[Any], by: str) -> int:
    return control.run_now(server, uuids)


def _cancel_hard(server: Server, uuids: Sequence[Any], by: str) -> int:
    return control.cancel(server, uuids, by, hard=True)


def _delete(server: Server, uuids: Sequence[Any], by: str) -> int:
    return control.delete(server, uuids)


def _unfinished(tasks: QuerySet[TaskState]) -> QuerySet[TaskState]:
    return tasks.exclude(state__in=FINAL)


ACTIONS = (
    OperatorAction("retry", _("Run again"), "retry", control.retry),
    OperatorAction("run_now", _("Run now"), "run_now", _run_now),
    OperatorAction("cancel", _("Cancel"), "cancel", control.cancel, destroys=True, unfinished=_unfinished),
    OperatorAction(
        "cancel_hard",
        _("Cancel, ending the process if need be"),
        "cancel",
        _cancel_hard,
        destroys=True,
        unfinished=_unfinished,
    ),
    OperatorAction("remove", _("Delete"), "remove", _delete, destroys=True),
)


@admin.register(TaskState)
class TaskStateAdmin(ElsewhereAdmin):
    """Every task that this database knows."""

    list_display = ("state_column", "task_column", "place", "times", "age")
    list_display_links = None
    list_filter = (
        StateFilter, SentFilter, FailedFilter, ExceptionFilter, ReasonFilter, NameFilter, QueueFilter, WorkerFilter
    )  # fmt: skip
    search_fields = ("uuid",)  # makes Django show the box; `get_search_results` says what it finds
    search_help_text = _(
        "A UUID, or words from arguments and errors, or name:…, queue:…, worker:…, error:…, args:…, args.key:value. "
        "Arguments and errors are searched in the newest {window:,} tasks that the filters leave, up to {hits:,} hits; "
        "arguments in the newest {decoded:,} of them that have the text anywhere."
    )
    actions = ACTIONS
    change_list_template = "admin/machinery/taskstate/change_list.html"

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view") and self.may(request, "retry")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view") and self.may(request, "cancel")

    def has_run_now_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view") and self.may(request, "run_now")

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "machinery_taskstate_{}".format
        return [
            path("dashboard/", view(self.dashboard_view), name=name("dashboard")),
            path("find/", view(self.find_view), name=name("find")),
            path("find/act/", view(self.act_view), name=name("act")),
            path("<int:pk>/raw/", view(self.raw_view), name=name("raw")),
            path("<int:pk>/live/", view(self.live_view), name=name("live")),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskState]:
        return super().get_queryset(request).defer("signature", "results", "error", "traceback")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TaskState], search_term: str
    ) -> tuple[QuerySet[TaskState], bool]:
        return (Query.parse(search_term).narrow(queryset) if search_term else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.search_help_text = str(self.search_help_text).format(window=WINDOW, hits=HITS, decoded=DECODED)
        if any(name in changelist.filter_params for name in ("queue", "worker")):
            changelist.note = _("Of the queue and the worker, the newest {window:,} tasks of the other filters.")
            changelist.note = str(changelist.note).format(window=WINDOW)
        if request.method == "GET":
            changelist.result_list = changelist.result_list.annotate(length=Length("signature")).annotate(short=_SHORT)
        return changelist

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one task. Django's log knows a task that has no row by its UUID: that page is another."""
        if not object_id.isdecimal():
            return HttpResponseRedirect(f"{self.url('find')}?{urlencode({'uuid': unquote(object_id)})}")
        return self._page(request, object_id, "admin/machinery/taskstate/detail.html")

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of a task's page that changes while it runs."""
        return self._page(request, str(pk), "admin/machinery/taskstate/_detail.html")

    def raw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Signature and results as they are stored, nothing masked."""
        if not (self.may(request, "view") and self.may(request, "view_raw")):
            raise PermissionDenied
        task = self._task(str(pk))
        context = self.page_context(request, title=_("Raw data"), subtitle=task.uuid, original=task, task=task)
        context |= {"signature": looks.pretty(task.signature), "results": looks.pretty(task.results or "")}
        context |= {"error": task.error, "traceback": task.traceback}
        return TemplateResponse(request, "admin/machinery/taskstate/raw.html", context)

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        """What of the dashboard refreshes itself."""
        request.current_app = self.admin_site.name
        context = dashboard.panels(request, self.admin_site)
        if not any(context["may"].values()):
            raise PermissionDenied
        return TemplateResponse(request, "admin/machinery/_dashboard.html", context)

    @admin.display(description=_("state"))
    def state_column(self, task: TaskState) -> SafeString:
        again = _("attempt %d") % task.attempt if task.attempt > 1 else ""
        return format_html('{}<span class="mq-under">{}</span>', looks.pill(task.state, task.reason), again)

    @admin.display(description=_("task"))
    def task_column(self, task: TaskState) -> SafeString:
        link, name = self.url("change", task.pk), task.name or task.uuid
        return format_html(looks.NAMED, link, looks.breakable(name), _args(task))

    @admin.display(description=_("queue, worker"))
    def place(self, task: TaskState) -> SafeString:
        return format_html('{}<span class="mq-under mq-whole">{}</span>', task.queue, looks.breakable(task.worker))

    @admin.display(description=_("wait, run"))
    def times(self, task: TaskState) -> SafeString:
        waited = looks.duration(looks.between(_due(task), task.started_at))
        ran = looks.duration(looks.between(task.started_at, task.finished_at))
        return format_html(_TIMES, _("waited"), waited, _("ran"), ran)

    @admin.display(description=_("sent"))
    def age(self, task: TaskState) -> str:
        return looks.ago(task.created_at)

    def _page(self, request: HttpRequest, object_id: str, template: str) -> HttpResponse:
        if not self.may(request, "view"):
            raise PermissionDenied
        task = self._task(object_id)
        allowed = self.get_actions(request)
        context = self.page_context(request, title=task.name or task.uuid, subtitle=None, original=task)
        context |= task_page.context(task, [action for action in ACTIONS if action.name in allowed])
        context["may_see_raw"] = self.may(request, "view_raw")
        return TemplateResponse(request, template, context)

    def _task(self, object_id: str) -> TaskState:
        task = TaskState.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if task is None:
            raise Http404
        return task


def _due(task: TaskState) -> Any:
    """From when on a task waited for a worker; None for a later attempt, of which its own page knows more."""
    if task.attempt > 1:
        return None
    return max(task.created_at, task.eta) if task.eta else task.created_at


def _args(task: TaskState) -> str:
    short = getattr(task, "short", "")
    arguments = Shown(task.server, short).arguments if short else None
    return "…" if arguments is None else looks.one_line(arguments)
