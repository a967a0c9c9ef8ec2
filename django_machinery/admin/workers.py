"""Worker processes: who they are, how busy, and when they were last heard of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_machinery.admin import looks
from django_machinery.admin.base import OperatorAdmin, permitted
from django_machinery.models import TaskState, WorkerProcess

RECENT = 20
"""Tasks that a worker's page lists."""


@admin.register(WorkerProcess)
class WorkerProcessAdmin(OperatorAdmin[WorkerProcess]):
    """Every worker process that is alive, or was lost a while ago."""

    list_display = ("process", "life", "queues_column", "load", "done_column", "failed_column", "memory", "beat")
    list_display_links = None
    ordering = ("-beat_at", "-id")
    search_fields = ("host", "tag", "token__exact")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one process."""
        if not self.may(request, "view"):
            raise PermissionDenied
        worker = self.get_object(request, object_id)
        if worker is None:
            raise Http404
        context = self.page_context(request, title=_("Worker"), subtitle=str(worker), original=worker, worker=worker)
        context |= {"life": self.life(worker), "memory": self.memory(worker), "names": worker.names.split("\n")[1:]}
        context |= {"queues": worker.queues.split("\n")}
        context |= {"tasks": _running(worker) if permitted(request, "view", "taskstate") else []}
        return TemplateResponse(request, "admin/machinery/workerprocess/detail.html", context)

    @admin.display(description=_("process"))
    def process(self, worker: WorkerProcess) -> SafeString:
        link = self.url("change", worker.pk)
        return format_html(looks.NAMED, link, looks.breakable(f"{worker.host}:{worker.pid}"), worker.tag)

    @admin.display(description=_("state"))
    def life(self, worker: WorkerProcess) -> SafeString:
        return looks.life(worker)

    @admin.display(description=_("queues"))
    def queues_column(self, worker: WorkerProcess) -> str:
        return ", ".join(worker.queues.split("\n"))

    @admin.display(description=_("busy"))
    def load(self, worker: WorkerProcess) -> str:
        return f"{worker.busy} / {worker.concurrency or '∞'}"

    @admin.display(description=_("done"))
    def done_column(self, worker: WorkerProcess) -> str:
        return looks.number(worker.done)

    @admin.display(description=_("failed"))
    def failed_column(self, worker: WorkerProcess) -> str:
        return looks.number(worker.failed)

    @admin.display(description=_("memory"))
    def memory(self, worker: WorkerProcess) -> str:
        return looks.megabytes(worker.rss)

    @admin.display(description=_("heard of"))
    def beat(self, worker: WorkerProcess) -> str:
        return looks.ago(worker.beat_at)


def _running(worker: WorkerProcess) -> list[TaskState]:
    """What it runs just now."""
    running = TaskState.objects.filter(state__in=("RECEIVED", "STARTED"), worker=worker.name)
    return list(running.defer("results", "traceback").order_by("-id")[:RECENT])
