"""The filters of the list of task states. They count nothing and list no column's values: a table may be large."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_machinery.admin.search import known_names, newest, usable_servers
from django_machinery.models import QueueControl, TaskState, WorkerProcess
from django_machinery.protocol.states import STATES

REASONS = ("error", "crash", "timeout", "cancelled", "dead", "parent")


class ValueFilter(SimpleListFilter):
    """A column that equals one of a few values; a value that is not offered works as well."""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        chosen = self.used_parameters.get(self.parameter_name or "")
        values = list(self.values())
        return [(value, value) for value in ([*values, chosen] if chosen and chosen not in values else values)]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[TaskState]) -> QuerySet[TaskState]:
        return queryset if self.value() is None else self.narrow(queryset, str(self.value()))

    def values(self) -> Iterable[str]:
        """What is offered."""
        raise NotImplementedError

    def narrow(self, rows: QuerySet[TaskState], value: str) -> QuerySet[TaskState]:
        """The rows with that value."""
        return rows.filter(**{self.parameter_name or "": value})


class StateFilter(ValueFilter):
    """By state."""

    title = _("state")
    parameter_name = "state"

    def values(self) -> Iterable[str]:
        return STATES


class ReasonFilter(ValueFilter):
    """By the reason of a failure."""

    title = _("reason of failure")
    parameter_name = "reason"

    def values(self) -> Iterable[str]:
        return REASONS

    def narrow(self, rows: QuerySet[TaskState], value: str) -> QuerySet[TaskState]:
        return rows.filter(state="FAILURE", reason=value)


class NameFilter(ValueFilter):
    """By task, of those that this process knows."""

    title = _("task")
    parameter_name = "name"

    def values(self) -> Iterable[str]:
        return known_names()


class QueueFilter(ValueFilter):
    """By queue, of those that settings, tasks and controls name; within the newest rows, there being no index."""

    title = _("queue")
    parameter_name = "queue"

    def values(self) -> Iterable[str]:
        known = usable_servers()
        configured = {server.config.default_queue for server in known}
        declared = {task.queue for server in known for task in server.registry.definitions if task.queue}
        controlled = set(QueueControl.objects.values_list("queue", flat=True)[:100])
        return sorted(configured | declared | controlled)

    def narrow(self, rows: QuerySet[TaskState], value: str) -> QuerySet[TaskState]:
        return newest(rows).filter(queue=value)


class WorkerFilter(ValueFilter):
    """By worker process, of those that are alive; within the newest rows, there being no index."""

    title = _("worker")
    parameter_name = "worker"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        return [(worker.name, str(worker)) for worker in WorkerProcess.objects.order_by("-beat_at").defer("names")[:20]]

    def narrow(self, rows: QuerySet[TaskState], value: str) -> QuerySet[TaskState]:
        return newest(rows).filter(worker=value)
