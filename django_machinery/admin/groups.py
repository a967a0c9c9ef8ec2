"""Groups: how far they are, their members, and what becomes of their chord's callback."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, F, IntegerField, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_machinery.admin import looks
from django_machinery.admin.base import OperatorAdmin
from django_machinery.models import GroupMeta, TaskState
from django_machinery.protocol.states import STATES

MEMBERS = 100
"""Members that a group's page lists."""


@admin.register(GroupMeta)
class GroupMetaAdmin(OperatorAdmin[GroupMeta]):
    """Every group that this database knows."""

    list_display = ("group", "progress", "total_column", "failed_column", "chord", "age")
    list_display_links = None
    search_fields = ("uuid__exact", "callback_uuid__exact")
    search_help_text = _("The UUID of a group")

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupMeta]:
        return super().get_queryset(request).defer("callback")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one group."""
        if not self.may(request, "view"):
            raise PermissionDenied
        group = self.get_object(request, object_id)
        if group is None:
            raise Http404
        context = self.page_context(request, title=_("Group"), subtitle=group.uuid, original=group, group=group)
        context |= {"progress": self.progress(group), **_members(group)}
        return TemplateResponse(request, "admin/machinery/groupmeta/detail.html", context)

    @admin.display(description=_("group"))
    def group(self, group: GroupMeta) -> SafeString:
        link = self.url("change", group.pk)
        return format_html('<a class="mq-name" href="{}">{}</a>', link, looks.breakable(group.uuid))

    @admin.display(description=_("progress"))
    def progress(self, group: GroupMeta) -> SafeString:
        """Done and failed members as a bar."""
        total = max(1, group.total)
        done = max(0, group.total - group.remaining)
        failed = 100 * min(group.failed, done) / total
        good = 100 * done / total - failed
        return format_html(
            '<svg class="mq-bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">'
            '<rect class="mq-bar-rest" width="100" height="8"/>'
            '<rect class="mq-bar-success" width="{}" height="8"/>'
            '<rect class="mq-bar-failure" x="{}" width="{}" height="8"/></svg> <span class="mq-number">{} / {}</span>',
            _("%(done)s of %(total)s members are done") % {"done": done, "total": group.total},
            f"{good:.2f}",
            f"{good:.2f}",
            f"{failed:.2f}",
            looks.number(done),
            looks.number(group.total),
        )

    @admin.display(description=_("total"))
    def total_column(self, group: GroupMeta) -> str:
        return looks.number(group.total)

    @admin.display(description=_("failed"))
    def failed_column(self, group: GroupMeta) -> str:
        return looks.number(group.failed)

    @admin.display(description=_("callback"))
    def chord(self, group: GroupMeta) -> str:
        if group.callback_uuid is None:
            return looks.MISSING
        if group.triggered_by:
            return str(_("triggered"))
        return str(_("waits for the members") if group.settled_at is None else _("not run: a member failed"))

    @admin.display(description=_("sent"))
    def age(self, group: GroupMeta) -> str:
        return looks.ago(group.created_at)


def _members(group: GroupMeta) -> dict[str, Any]:
    """Members by state; of each, those that failed first, then the slowest."""
    members = TaskState.objects.filter(group_uuid=group.uuid)
    counts = dict(members.order_by().values_list("state").annotate(Count("id")))
    failed_first = Case(When(state="FAILURE", then=0), default=1, output_field=IntegerField())
    took = F("finished_at") - F("started_at")
    slim = members.defer("results", "traceback")
    callback = TaskState.objects.filter(uuid=group.callback_uuid).first() if group.callback_uuid else None
    return {
        "counts": [(state, counts[state]) for state in STATES if state in counts],
        "members": list(slim.order_by(failed_first, took.desc(nulls_last=True), "group_index")[:MEMBERS]),
        "shown": MEMBERS,
        "callback": callback,
    }
