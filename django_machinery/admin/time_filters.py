"""Filters by a range of time: the last hour or so, or from one moment to another, each of which may be left open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from django_machinery.admin.filters import ValueFilter
from django_machinery.inspector.inspector import FAILED
from django_machinery.models import Attempt, TaskState
from django_machinery.protocol.states import STATES

SPANS = {
    "15m": (timedelta(minutes=15), _("Last 15 minutes")),
    "1h": (timedelta(hours=1), _("Last hour")),
    "24h": (timedelta(days=1), _("Last 24 hours")),
    "7d": (timedelta(days=7), _("Last 7 days")),
    "30d": (timedelta(days=30), _("Last 30 days")),
}


class TimeFilter(ValueFilter):
    """`sent=15m`, or `sent_from=2026-01-02T03:04` and `sent_to=...`, in the zone of the project if they name none."""

    template = "admin/machinery/time_filter.html"
    column: ClassVar[str]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: ModelAdmin[Any]) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.bounds:
            if name in params and (value := params.pop(name)[-1]):
                self.used_parameters[name] = value

    @property
    def bounds(self) -> tuple[str, str]:
        """The parameters for its two ends."""
        return f"{self.parameter_name}_from", f"{self.parameter_name}_to"

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter_name, *self.bounds]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        return [(key, label) for key, (_span, label) in SPANS.items()]

    def choices(self, changelist: Any) -> Iterator[Any]:
        chosen = not any(name in self.used_parameters for name in self.bounds)
        for choice in super().choices(changelist):
            query = QueryDict(choice["query_string"].lstrip("?"), mutable=True)
            for name in self.bounds:
                query.pop(name, None)
            yield {**choice, "selected": choice["selected"] and chosen, "query_string": f"?{query.urlencode()}"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[TaskState]) -> QuerySet[TaskState]:
        if not any(name in self.used_parameters for name in self.expected_parameters()):
            return queryset
        try:
            return self.within(queryset, self._range())
        except ValueError:
            return queryset.none()

    def within(self, rows: QuerySet[TaskState], span: Q) -> QuerySet[TaskState]:
        """The rows within a span of `column`."""
        raise NotImplementedError

    @property
    def ends(self) -> list[tuple[str, Any, str]]:
        """The fields of its form: parameter, label, and the moment as a browser's field takes it."""
        labels = (_("From"), _("To"))
        return [(name, label, self._typed(name)) for name, label in zip(self.bounds, labels, strict=True)]

    @property
    def others(self) -> list[tuple[str, str]]:
        """What of the address its form keeps."""
        own = {*self.expected_parameters(), "id__lt", "p"}
        return [(name, value) for name, values in self.request.GET.lists() if name not in own for value in values]

    def _range(self) -> Q:
        """Raises ValueError for what is no time."""
        span = Q()
        if chosen := self.used_parameters.get(self.parameter_name or ""):
            span &= Q((f"{self.column}__gte", _since(str(chosen))))
        for name, lookup in zip(self.bounds, ("gte", "lt"), strict=True):
            if text := self.used_parameters.get(name):
                span &= Q((f"{self.column}__{lookup}", _moment(str(text))))
        return span

    def _typed(self, name: str) -> str:
        try:
            moment = _moment(str(self.used_parameters[name]))
        except (KeyError, ValueError):
            return ""
        local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
        return local.replace(tzinfo=None).isoformat(timespec="seconds")


class SentFilter(TimeFilter):
    """By the time at which a task was sent."""

    title = _("sent")
    parameter_name = "sent"
    column = "created_at"

    def within(self, rows: QuerySet[TaskState], span: Q) -> QuerySet[TaskState]:
        # With a list of all states the index (state, created_at) answers a range of times.
        rows = rows if "state" in self.request.GET else rows.filter(state__in=STATES)
        return rows.filter(span)


class FailedFilter(TimeFilter):
    """By the time at which a run of the task failed, retried or not; with `ExceptionFilter`, by that exception."""

    title = _("a run failed")
    parameter_name = "failed"
    column = "ended_at"

    def within(self, rows: QuerySet[TaskState], span: Q) -> QuerySet[TaskState]:
        if ExceptionFilter.parameter_name in self.request.GET:
            span &= Q(exception=self.request.GET[ExceptionFilter.parameter_name])
        return _failed(rows, span)


class ExceptionFilter(ValueFilter):
    """By the exception of a run that failed: its dotted path, empty where a process ended."""

    title = _("exception")
    parameter_name = "exception"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        chosen = self.used_parameters.get(self.parameter_name)
        return [] if chosen is None else [(chosen, chosen or _("None: the process ended"))]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def narrow(self, rows: QuerySet[TaskState], value: str) -> QuerySet[TaskState]:
        with_time = any(name.startswith(FailedFilter.parameter_name) for name in self.request.GET)
        return rows if with_time else _failed(rows, Q(exception=value))


def frozen(query: QueryDict) -> QueryDict:
    """The same filter as of now: what counts back from the present begins at a moment."""
    fixed = query.copy()
    for kind in (SentFilter, FailedFilter):
        name = str(kind.parameter_name)
        if (span := str(query.get(name))) in SPANS:
            del fixed[name]
            fixed[f"{name}_from"] = _since(span).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return fixed


def _failed(rows: QuerySet[TaskState], span: Q) -> QuerySet[TaskState]:
    runs = Attempt.objects.using(rows.db).filter(span, outcome__in=FAILED)
    return rows.filter(uuid__in=runs.values("uuid"))


def _since(span: str) -> datetime:
    if span not in SPANS:
        raise ValueError(span)
    return timezone.now() - SPANS[span][0]


def _moment(text: str) -> datetime:
    moment = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    if moment is None:
        raise ValueError(text)
    if not settings.USE_TZ:
        return timezone.make_naive(moment) if timezone.is_aware(moment) else moment
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
