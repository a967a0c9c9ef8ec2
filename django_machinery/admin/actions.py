"""What operators may do to rows: guarded, counted, audited, and confirmed where it destroys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_machinery import control
from django_machinery.admin import audit, sealed
from django_machinery.admin.changelist import OLDER_THAN
from django_machinery.admin.time_filters import frozen
from django_machinery.api import send_task
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.workflows import new_uuid

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    from django_machinery.admin.base import OperatorAdmin
    from django_machinery.server import Server

ACT_ON_FILTER = "machinery.admin.act_on_filter"
"""The task, in `bulk`, that does an action with everything that a filter finds."""
CHUNK = 500
"""Rows that are handled between two looks at what is left."""
IN_REQUEST = 1_000
"""More rows than these are left to a background task."""

NEWEST = "id__lte"
"""The parameter that ends a whole filter at the row which was the newest when the action was asked for."""
BACK = "_back"
"""The field of the form that asks with the filter to come back to."""

Run = Callable[["Server", Sequence[Any], str], int]
"""Does it to the rows with these keys, for the user of that name; returns how many it changed."""


@dataclass
class Applied:
    """What became of an action on some rows."""

    changed: int = 0
    done: list[Any] = field(default_factory=list)
    """The rows of the servers that did it."""
    doubtful: list[Any] = field(default_factory=list)
    """The rows of servers that failed while they did it: nobody knows for which of them it is done."""
    problems: list[MachineryError] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How many rows somebody tried to change."""
        return len(self.done) + len(self.doubtful)


@dataclass(frozen=True, eq=False)
class OperatorAction:
    """An entry of `ModelAdmin.actions`.

    `permission` names the `has_..._permission` of the admin that guards it. `key` is the column that `run` takes.
    `unfinished` selects the rows for which it is not done yet, of an action that is asked for and done some time later.
    """

    name: str
    label: _StrOrPromise
    permission: str
    run: Run
    key: str = "uuid"
    destroys: bool = False
    unfinished: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None
    do_not_call_in_templates: ClassVar = True

    def __post_init__(self) -> None:
        # What Django reads of a function.
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "short_description", self.label)
        object.__setattr__(self, "allowed_permissions", [self.permission])

    def __call__(self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run it on a selection, or on all that a filter finds; ask first if it destroys or is for all."""
        whole_filter = request.POST.get("select_across") == "1"
        if whole_filter:
            queryset = _as_of_now(admin, request)
        if (self.destroys or whole_filter) and "confirmed" not in request.POST:
            return self._ask(admin, request, queryset, whole_filter)
        if whole_filter and queryset.order_by()[: IN_REQUEST + 1].count() > IN_REQUEST:
            self._send(admin, request)
        else:
            self._run_here(admin, request, queryset)
        return _back(admin, request)

    def apply(self, queryset: QuerySet[Any], by: str) -> Applied:
        """Do it to every row, server by server: one that fails does not keep the others from it."""
        rows = list(queryset)
        applied = Applied()
        for alias in sorted({row.server for row in rows}):
            of_server = [row for row in rows if row.server == alias]
            try:
                server = servers[alias]
            except MachineryError as error:
                applied.problems.append(error)
                continue
            try:
                applied.changed += self.run(server, [getattr(row, self.key) for row in of_server], by)
            except MachineryError as error:
                applied.problems.append(error)
                applied.doubtful += of_server
            else:
                applied.done += of_server
        return applied

    def record(self, admin: OperatorAdmin[Any], user: Any, applied: Applied) -> None:
        """Leave audit rows for what was done, and for what may have been."""
        for rows, what in ((applied.done, self.label), (applied.doubtful, _("%s: it failed on the way") % self.label)):
            if rows:
                objects = [(row.pk, str(row)) for row in rows]
                audit.record(user, admin.model, what, objects, summary=_many(admin, rows), destroyed=self.destroys)

    def _run_here(self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]) -> None:
        asked = len(queryset)
        applied = self.apply(queryset, request.user.get_username())
        self.record(admin, request.user, applied)
        for problem in applied.problems:
            admin.message_user(request, _("%(action)s: %(error)s") % self._words(error=problem), messages.ERROR)
        level = messages.SUCCESS if applied.changed == asked else messages.WARNING
        if applied.asked:
            admin.message_user(request, self._told(admin, applied, asked), level)

    def _told(self, admin: OperatorAdmin[Any], applied: Applied, asked: int) -> str:
        words = self._words(changed=applied.changed, asked=asked)
        if self.unfinished is not None:
            rows = admin.model._default_manager.filter(pk__in=[row.pk for row in applied.done])
            if applied.changed and (waiting := self.unfinished(rows).count()):
                return _("%(action)s: asked for %(changed)s of %(asked)s; %(waiting)s have not ended yet.") % {
                    **words, "waiting": waiting
                }  # fmt: skip
        return _("%(action)s: done for %(changed)s of %(asked)s.") % words

    def _send(self, admin: OperatorAdmin[Any], request: HttpRequest) -> None:
        site = admin.admin_site.name
        uuid = new_uuid()
        args = [site, admin.opts.label_lower, self.name, request.GET.urlencode(), str(request.user.pk)]
        order = Signature.of(ACT_ON_FILTER, *args, sealed.seal(uuid, args), uuid=uuid)
        server = servers[next(iter(servers))]
        send_task(order, server=server.alias)
        link = f"{reverse('admin:machinery_taskstate_find', current_app=site)}?uuid={uuid}"
        text = _('{action}: a background task does it. <a href="{link}">See how far it is.</a>')
        admin.message_user(request, format_html(text, action=self.label, link=link))
        if (queue := server.config.default_queue) in control.paused(server):
            text = _("It waits: its queue %(queue)s (%(server)s) is paused.")
            admin.message_user(request, text % {"queue": queue, "server": server.alias}, messages.WARNING)

    def _ask(
        self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any], whole_filter: bool
    ) -> HttpResponse:
        count = queryset.order_by().count()
        context = admin.page_context(
            request,
            title=_("%(action)s?") % self._words(),
            action=self,
            count=intcomma(count),
            noun=model_ngettext(admin.opts, count),
            query=request.GET.urlencode(),
            back=_listed(request),
            back_url=_address(admin, request),
            sample=list(queryset[:10]),
            selected=request.POST.getlist(ACTION_CHECKBOX_NAME),  # Django wants some, also for the whole filter
            checkbox=ACTION_CHECKBOX_NAME,
            whole_filter=whole_filter,
            from_detail="_detail" in request.POST,
        )
        return TemplateResponse(request, "admin/machinery/confirm.html", context)

    def _words(self, **values: Any) -> dict[str, Any]:
        return {"action": self.label, **values}


def all_that_match(query: str, uuid: str) -> str:
    """What the audit row of a whole filter is called, which the task `uuid` acts on."""
    shown = QueryDict(query, mutable=True)
    shown.pop(NEWEST, None)
    return _("all that match %(filter)s, by task %(uuid)s") % {
        "filter": shown.urlencode() or _("no filter"), "uuid": uuid
    }  # fmt: skip


def _many(admin: OperatorAdmin[Any], rows: Sequence[Any]) -> str:
    """What one audit row for many objects is called; "" where each has its own."""
    if len(rows) <= audit.EACH:
        return ""
    return f"{len(rows)} {admin.opts.verbose_name_plural}"


def _as_of_now(admin: OperatorAdmin[Any], request: HttpRequest) -> QuerySet[Any]:
    """All rows of the filter that the request names, on whatever page, as it is now; the request then names that.

    What is counted when an action is asked for is what is acted on later, but for rows that change meanwhile.
    """
    query = frozen(request.GET)
    query.pop(OLDER_THAN, None)
    if NEWEST not in query:
        newest = admin.get_queryset(request).order_by("-id").values_list("id", flat=True).first()
        query[NEWEST] = str(newest or 0)
    request.GET = cast(Any, query)
    rows: QuerySet[Any] = admin.get_changelist_instance(request).get_queryset(request)
    return rows


def _listed(request: HttpRequest) -> str:
    """The filter of the list that an action was chosen in."""
    return str(request.POST.get(BACK, request.META.get("QUERY_STRING", "")))


def _back(admin: OperatorAdmin[Any], request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(_address(admin, request))


def _address(admin: OperatorAdmin[Any], request: HttpRequest) -> str:
    """The object's page when the action was asked for there, else the list as it was filtered."""
    selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
    if "_detail" not in request.POST:
        query = QueryDict(_listed(request)).urlencode()
        return admin.url("changelist") + (f"?{query}" if query else "")
    if len(selected) == 1 and admin.model._default_manager.filter(pk=selected[0]).exists():
        return admin.url("change", selected[0])
    return admin.url("changelist")
