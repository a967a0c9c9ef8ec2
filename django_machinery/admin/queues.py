"""Queues: what waits on them; pausing, resuming and purging them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_machinery import control
from django_machinery.admin import audit, looks
from django_machinery.admin.base import OperatorAdmin
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers
from django_machinery.inspector import Inspector, QueueLook
from django_machinery.models import QueueControl

DEEDS = {
    "pause": ("pause", gettext_lazy("Pause")),
    "resume": ("pause", gettext_lazy("Resume")),
    "purge": ("purge", gettext_lazy("Purge")),
}
"""What may be done to a queue, the permission that it takes, and what it is called."""


@admin.register(QueueControl)
class QueueControlAdmin(OperatorAdmin[QueueControl]):
    """The queues of every server, as their brokers tell of them: a queue has a row only once it was controlled."""

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [path("act/", act, name="machinery_queuecontrol_act"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """All queues of all servers."""
        if not self.may(request, "view"):
            raise PermissionDenied
        context = self.page_context(request, title=_("Queues"), subtitle=None)
        context |= {"stores": [_store(alias) for alias in servers], "many": len(list(servers)) > 1}
        context |= {f"may_{permission}": self.may(request, permission) for permission in ("pause", "purge")}
        return TemplateResponse(request, "admin/machinery/queuecontrol/list.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Pause, resume or purge one queue; purging is asked again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        deed, alias, queue = (request.POST.get(field, "") for field in ("deed", "server", "queue"))
        if deed not in DEEDS or not (self.may(request, "view") and self.may(request, DEEDS[deed][0])):
            raise PermissionDenied
        try:
            look = _look(alias, queue)
            if look is None:
                self.message_user(request, _("There is no such queue."), messages.ERROR)
            elif deed == "purge" and "confirmed" not in request.POST:
                context = self.page_context(request, title=_("Purge?"), subtitle=queue, queue=look, server=alias)
                return TemplateResponse(request, "admin/machinery/queuecontrol/purge.html", context)
            else:
                self._act(request, deed, alias, queue)
        except MachineryError as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(self.url("changelist"))

    def _act(self, request: HttpRequest, deed: str, alias: str, queue: str) -> None:
        text = _do(deed, alias, queue, request.user.get_username())
        audit.record(request.user, QueueControl, text, summary=f"{queue} ({alias})", destroyed=deed == "purge")
        self.message_user(request, text, messages.SUCCESS)


def _look(alias: str, queue: str) -> QueueLook | None:
    """That queue, if the list has it."""
    known = Inspector(servers[alias]).queues() if alias in servers else []
    return next((look for look in known if look.name == queue), None)


def _do(deed: str, alias: str, queue: str, by: str) -> str:
    """Do it; returns what to say of it."""
    server = servers[alias]
    if deed == "pause":
        control.pause(server, queue, by)
        return _("Queue %s is paused: workers take nothing new from it.") % queue
    if deed == "resume":
        control.resume(server, queue, by)
        return _("Queue %s goes on.") % queue
    count = control.purge(server, queue)
    return _("Queue %(queue)s is purged of %(count)s messages.") % {"queue": queue, "count": count}


def _store(alias: str) -> dict[str, Any]:
    """The queues of one server; or why they are not known."""
    try:
        queues = Inspector(servers[alias]).queues()
    except MachineryError as error:
        return {"server": alias, "queues": [], "problem": str(error)}
    return {"server": alias, "queues": [(queue, looks.duration(queue.oldest_age)) for queue in queues], "problem": ""}
