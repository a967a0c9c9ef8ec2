"""What operators may do to rows: guarded, counted, audited, and confirmed where it destroys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_machinery.admin import audit, sealed
from django_machinery.admin.paginator import BoundedPaginator
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

Run = Callable[["Server", Sequence[Any], str], int]
"""Does it to the rows with these keys, for the user of that name; returns how many it changed."""


@dataclass(frozen=True, eq=False)
class OperatorAction:
    """An entry of `ModelAdmin.actions`.

    `permission` names the `has_..._permission` of the admin that guards it. `key` is the column that `run` takes.
    """

    name: str
    label: _StrOrPromise
    permission: str
    run: Run
    key: str = "uuid"
    destroys: bool = False
    do_not_call_in_templates: ClassVar = True

    def __post_init__(self) -> None:
        # What Django reads of a function.
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "short_description", self.label)
        object.__setattr__(self, "allowed_permissions", [self.permission])

    def __call__(self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run it on a selection, or on all that a filter finds; ask first if it destroys or is for all."""
        whole_filter = request.POST.get("select_across") == "1"
        if (self.destroys or whole_filter) and "confirmed" not in request.POST:
            return self._ask(admin, request, queryset, whole_filter)
        if whole_filter and queryset.order_by()[: IN_REQUEST + 1].count() > IN_REQUEST:
            self._send(admin, request)
        else:
            self._run_here(admin, request, queryset)
        return _back(admin, request)

    def apply(self, queryset: QuerySet[Any], by: str) -> tuple[int, list[tuple[Any, str]]]:
        """Do it to every row; how many were changed, and the key and text of the rows."""
        rows = list(queryset)
        changed = 0
        for alias in sorted({row.server for row in rows}):
            keys = [getattr(row, self.key) for row in rows if row.server == alias]
            changed += self.run(servers[alias], keys, by)
        return changed, [(row.pk, str(row)) for row in rows]

    def _run_here(self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]) -> None:
        try:
            changed, rows = self.apply(queryset, request.user.get_username())
        except MachineryError as error:
            admin.message_user(request, _("%(action)s: %(error)s") % self._words(error=error), messages.ERROR)
            return
        audit.record(request.user, admin.model, self.label, rows, summary=_many(admin, rows), destroyed=self.destroys)
        level = messages.SUCCESS if changed == len(rows) else messages.WARNING
        text = _("%(action)s: done for %(changed)s of %(asked)s.")
        admin.message_user(request, text % self._words(changed=changed, asked=len(rows)), level)

    def _send(self, admin: OperatorAdmin[Any], request: HttpRequest) -> None:
        site = admin.admin_site.name
        uuid = new_uuid()
        args = [site, admin.opts.label_lower, self.name, request.GET.urlencode(), str(request.user.pk)]
        order = Signature.of(ACT_ON_FILTER, *args, sealed.seal(uuid, args), uuid=uuid)
        send_task(order, server=next(iter(servers)))
        link = f"{reverse('admin:machinery_taskstate_find', current_app=site)}?uuid={uuid}"
        text = _('{action}: a background task does it. <a href="{link}">See how far it is.</a>')
        admin.message_user(request, format_html(text, action=self.label, link=link))

    def _ask(
        self, admin: OperatorAdmin[Any], request: HttpRequest, queryset: QuerySet[Any], whole_filter: bool
    ) -> HttpResponse:
        context = admin.page_context(
            request,
            title=_("%(action)s?") % self._words(),
            action=self,
            count=BoundedPaginator(queryset, admin.list_per_page).shown_count,
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
    return _("all that match %(filter)s, by task %(uuid)s") % {"filter": query or _("no filter"), "uuid": uuid}


def _many(admin: OperatorAdmin[Any], rows: Sequence[Any]) -> str:
    """What one audit row for many objects is called; "" where each has its own."""
    if len(rows) <= audit.EACH:
        return ""
    return f"{len(rows)} {admin.opts.verbose_name_plural}"


def _back(admin: OperatorAdmin[Any], request: HttpRequest) -> HttpResponse:
    """To the object's page when the action was asked for there, else to the list as it was filtered."""
    selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
    if "_detail" in request.POST and len(selected) == 1 and admin.model.objects.filter(pk=selected[0]).exists():
        return HttpResponseRedirect(admin.url("change", selected[0]))
    return HttpResponseRedirect(request.get_full_path() if "_detail" not in request.POST else admin.url("changelist"))
