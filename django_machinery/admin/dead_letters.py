"""Dead letters: messages that will not be run, and sending them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_machinery.admin import looks
from django_machinery.admin.actions import OperatorAction
from django_machinery.admin.base import OperatorAdmin
from django_machinery.admin.shown import Shown
from django_machinery.models import DeadLetter

if TYPE_CHECKING:
    from django_machinery.server import Server


def _requeue(server: Server, ids: Sequence[Any], by: str) -> int:
    return server.requeue_dead(ids)


def _delete(server: Server, ids: Sequence[Any], by: str) -> int:
    return DeadLetter.objects.using(server.config.database).filter(server=server.alias, id__in=ids).delete()[0]


ACTIONS = (
    OperatorAction("requeue", _("Send again"), "requeue", _requeue, key="pk"),
    OperatorAction("remove", _("Delete"), "remove", _delete, key="pk", destroys=True),
)


def _may_be_run(letter: DeadLetter, shown: Shown) -> bool:
    return shown.signature is not None and letter.requeued_at is None


class Requeued(admin.SimpleListFilter):
    """Which of them still wait for somebody."""

    title = _("sent again")
    parameter_name = "requeued"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("No")), ("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
        if self.value() in ("no", "yes"):
            return queryset.filter(requeued_at__isnull=self.value() == "no")
        return queryset


@admin.register(DeadLetter)
class DeadLetterAdmin(OperatorAdmin[DeadLetter]):
    """Every message that was given up."""

    list_display = ("letter", "reason_column", "queue", "crashes", "died", "requeued")
    list_display_links = None
    list_filter = (Requeued, "reason")
    search_fields = ("uuid__exact", "name__exact", "queue__exact", "detail")
    search_help_text = _("A UUID, the name of a task, a queue, or words from the reason")
    actions = ACTIONS

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view") and self.may(request, "requeue")

    def get_urls(self) -> list[URLPattern]:
        raw = self.admin_site.admin_view(self.raw_view)
        return [path("<int:pk>/raw/", raw, name="machinery_deadletter_raw"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).defer("body")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one dead letter."""
        if not self.may(request, "view"):
            raise PermissionDenied
        letter = self._letter(request, object_id)
        allowed, shown = self.get_actions(request), Shown(letter.server, bytes(letter.body))
        context = self.page_context(request, title=_("Dead letter"), subtitle=letter.uuid, original=letter)
        context |= {
            "letter": letter,
            "detail": shown.text(letter.detail),
            "arguments": shown.arguments,
            "actions": [
                action
                for action in ACTIONS
                if action.name in allowed and (action.name != "requeue" or _may_be_run(letter, shown))
            ],
            "may_see_raw": self.may(request, "view_raw"),
        }
        return TemplateResponse(request, "admin/machinery/deadletter/detail.html", context)

    def raw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The message as it came, nothing masked."""
        if not (self.may(request, "view") and self.may(request, "view_raw")):
            raise PermissionDenied
        letter = self._letter(request, str(pk))
        context = self.page_context(request, title=_("Raw message"), subtitle=letter.uuid, original=letter)
        body = bytes(letter.body).decode(errors="backslashreplace")
        context |= {"letter": letter, "body": looks.pretty(body), "detail": letter.detail}
        return TemplateResponse(request, "admin/machinery/deadletter/raw.html", context)

    @admin.display(description=_("message"))
    def letter(self, letter: DeadLetter) -> SafeString:
        name = letter.name or _("not decodable")
        link = self.url("change", letter.pk)
        return format_html(looks.NAMED, link, looks.breakable(str(name)), letter.uuid)

    @admin.display(description=_("reason"))
    def reason_column(self, letter: DeadLetter) -> SafeString:
        return format_html('<span class="mq-pill mq-failure">{}</span>', letter.reason)

    @admin.display(description=_("given up"))
    def died(self, letter: DeadLetter) -> str:
        return looks.ago(letter.died_at)

    @admin.display(description=_("sent again"))
    def requeued(self, letter: DeadLetter) -> str:
        return looks.ago(letter.requeued_at)

    def _letter(self, request: HttpRequest, object_id: str) -> DeadLetter:
        letter = self.get_object(request, object_id)
        if letter is None:
            raise Http404
        return letter
