"""Schedules: made and edited here, or shown where the project's code declares them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeAlias
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import SplitDateTimeField
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_machinery.admin import looks
from django_machinery.admin.base import Listed, permitted
from django_machinery.admin.invocations import Row
from django_machinery.admin.schedule_form import ScheduleForm, told
from django_machinery.exceptions import DecodeError, MachineryError
from django_machinery.models import GroupMeta, Schedule, TaskState
from django_machinery.models.fields import MomentField
from django_machinery.scheduler import run_now

LastRun: TypeAlias = tuple[str, int | None, str]
"""The page of a run, as a model and a key, and how it stands; empty where this database does not know."""
PREVIEWED = ("spec", "timezone", "dst_gap", "dst_overlap")
PREVIEWED_TIMES = ("starts_at", "ends_at")
"""Each a date and a time, as the form has them."""


@admin.register(Schedule)
class ScheduleAdmin(Listed[Schedule]):
    """What is sent when. Schedules that the code declares are shown only."""

    form = ScheduleForm
    change_form_template = "admin/machinery/schedule/change_form.html"
    list_display = ("name", "words", "enabled", "next_run", "last_run", "origin")
    list_filter = ("enabled", "origin", "kind", "server")
    search_fields = ("name", "spec")
    actions = ("enable", "disable", "run_now")
    readonly_fields = ("words", "next_runs", "last_run", "origin", "seen_at")
    fieldsets: ClassVar[Any] = [
        (None, {"fields": ["name", "enabled", "server"]}),
        (_("When"), {"fields": ["spec", "timezone", "words", "next_runs", "starts_at", "ends_at"]}),
        (_("What"), {"fields": ["kind", "tasks"]}),
        (_("Policies"), {"fields": ["missed", "catch_up", "run_overlap", "dst_gap", "dst_overlap"]}),
        (_("Record"), {"fields": ["last_run", "origin", "seen_at"]}),
    ]

    class Media:
        js = ("machinery/schedule.js",)

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_declared(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_declared(obj)

    def has_run_now_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and permitted(request, "run_now", "schedule")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and permitted(request, "switch", "schedule")

    def get_form(self, request: HttpRequest, obj: Schedule | None = None, change: bool = False, **kwargs: Any) -> Any:
        """`tasks` is no field of the table: the form adds it."""
        given = kwargs.pop("fields", None) or flatten_fieldsets(self.get_fieldsets(request, obj))
        fields = [field for field in given if field != "tasks"]
        form: Any = super().get_form(request, obj, change, fields=fields, **kwargs)
        form.may_see_raw = permitted(request, "view_raw", "taskstate")
        return form

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = _with_last_runs(list(changelist.result_list))
        return changelist

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [path("preview/", view, name="machinery_schedule_preview"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        url = reverse("admin:machinery_schedule_preview", current_app=self.admin_site.name)
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), "preview_url": url})

    def preview(self, request: HttpRequest) -> JsonResponse:
        """What a spec means that is being typed: its words, or what is wrong with it, and its next five times."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        given = {name: request.GET[name][:255] for name in PREVIEWED if request.GET.get(name)}
        schedule = Schedule(**given, **{name: _typed(request, name) for name in PREVIEWED_TIMES})
        return JsonResponse({"words": schedule.words(), "runs": told(schedule, schedule.next_runs())})

    @admin.display(description=_("in words"))
    def words(self, schedule: Schedule) -> str:
        return schedule.words() if schedule.spec else "—"

    @admin.display(description=_("next"), ordering="next_at")
    def next_run(self, schedule: Schedule) -> SafeString | str:
        return looks.ago(schedule.next_at if schedule.enabled else None)

    @admin.display(description=_("next five runs"))
    def next_runs(self, schedule: Schedule) -> SafeString | str:
        if not schedule.enabled:
            return str(_("None: it is disabled."))
        runs = told(schedule, schedule.next_runs()) if schedule.spec else []
        return format_html_join(SafeString("<br>"), "{}", ((run,) for run in runs)) or "—"

    @admin.display(description=_("tasks"))
    def tasks(self, schedule: Schedule) -> SafeString | str:
        try:
            rows = [Row.masked(signature, schedule.server) for signature in schedule.invocations]
        except DecodeError as error:
            return str(error)
        return format_html_join(SafeString("<br>"), "{} {}", rows)

    @admin.display(description=_("last run"), ordering="last_at")
    def last_run(self, schedule: Schedule) -> SafeString | str:
        if schedule.last_at is None:
            return "—"
        (at,), (model, key, state) = told(schedule, [schedule.last_at]), _last_run(schedule)
        try:
            link = reverse(f"admin:machinery_{model}_change", args=[key], current_app=self.admin_site.name)
        except NoReverseMatch:
            if not schedule.last_uuid or schedule.kind == Schedule.Kind.GROUP:
                return f"{at} {state}"
            find = reverse("admin:machinery_taskstate_find", current_app=self.admin_site.name)
            link = f"{find}?{urlencode({'uuid': schedule.last_uuid})}"
        return format_html('<a href="{}">{}</a> {}', link, at, state)

    @admin.action(description=_("Enable"), permissions=["switch"])
    def enable(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        self._switch(request, schedules, on=True)

    @admin.action(description=_("Disable"), permissions=["switch"])
    def disable(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        self._switch(request, schedules, on=False)

    @admin.action(description=_("Run now"), permissions=["run_now"])
    def run_now(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        """Send what they are for, besides their ticks; those of the code too."""
        sent = 0
        for schedule in schedules:
            try:
                run_now(schedule)
            except (MachineryError, TypeError, ValueError) as error:
                self.message_user(request, f"{schedule.name}: {error}", messages.ERROR)
                continue
            self.log_change(request, schedule, str(_("Run by hand.")))
            sent += 1
        if sent:
            self.message_user(request, ngettext("%d schedule was run.", "%d schedules were run.", sent) % sent)

    def _switch(self, request: HttpRequest, schedules: QuerySet[Schedule], *, on: bool) -> None:
        own = list(schedules.exclude(origin=Schedule.Origin.CODE))
        declared = schedules.count() - len(own)
        for schedule in own:
            self.log_change(request, schedule, str(_("Enabled.") if on else _("Disabled.")))
        count = Schedule.objects.filter(pk__in=[schedule.pk for schedule in own]).update(enabled=on)
        self.message_user(request, ngettext("%d schedule was changed.", "%d schedules were changed.", count) % count)
        if declared:
            text = ngettext(
                "%d schedule is declared in code and was left.",
                "%d schedules are declared in code and were left.",
                declared,
            )
            self.message_user(request, text % declared, messages.WARNING)


def _typed(request: HttpRequest, name: str) -> datetime | None:
    """A time that is being typed; None while it is none."""
    field = SplitDateTimeField(required=False)
    try:
        typed = field.clean([request.GET.get(f"{name}_{place}", "") for place in (0, 1)])
    except ValidationError:
        return None
    moment: datetime | None = MomentField().to_python(typed)
    return moment


def _is_declared(schedule: Schedule | None) -> bool:
    return schedule is not None and schedule.origin == Schedule.Origin.CODE


def _last_run(schedule: Schedule) -> LastRun:
    (schedule,) = _with_last_runs([schedule]) if not hasattr(schedule, "last_run_found") else (schedule,)
    found: LastRun = schedule.last_run_found  # type: ignore[attr-defined]
    return found


def _with_last_runs(schedules: list[Schedule]) -> list[Schedule]:
    """The same, each with what this database knows of its last run."""
    uuids = [schedule.last_uuid for schedule in schedules if schedule.last_uuid]
    found: dict[str, LastRun] = {}
    for uuid, key, total, remaining in GroupMeta.objects.filter(uuid__in=uuids).values_list(
        "uuid", "pk", "total", "remaining"
    ):
        found[uuid] = ("groupmeta", key, f"{total - remaining} / {total}")
    for uuid, key, state in TaskState.objects.filter(uuid__in=uuids).values_list("uuid", "pk", "state"):
        found[uuid] = ("taskstate", key, state)
    for schedule in schedules:
        schedule.last_run_found = found.get(schedule.last_uuid, ("", None, ""))  # type: ignore[attr-defined]
    return schedules
