"""The form of a schedule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from django_machinery import conf
from django_machinery.admin.actions import ACT_ON_FILTER
from django_machinery.admin.invocations import InvocationsField, Row, signature_of
from django_machinery.conf.urls import HIDDEN
from django_machinery.exceptions import ConfigurationError, DecodeError
from django_machinery.handler import servers
from django_machinery.models import Schedule
from django_machinery.models.schedule import UNREADABLE, encode_invocations, gets_results
from django_machinery.protocol.signature import Signature
from django_machinery.registry import Registry

SPEC_HELP = _("minute hour day-of-month month day-of-week; or @hourly, @daily, @weekly, @monthly, @every 1h30m")


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes no parameters at run time
    """Offers the tasks that are registered and checks their arguments; says what the spec means."""

    may_see_raw = True
    """False: sensitive arguments are shown as `***`, and stay as they are in a row that nobody touches."""

    class Meta:
        model = Schedule
        exclude: ClassVar = ["signatures"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before = _invocations(self.instance)
        if "spec" not in self.fields:  # a page that only shows
            return
        known = {name for alias in servers for name in servers[alias].get_registered_task_names()}
        known -= {ACT_ON_FILTER}  # sealed: no schedule can send it
        known |= {signature.name for signature in self._before}
        rows = [self._row(signature) for signature in self._before]
        self.fields["tasks"] = InvocationsField(known, len(rows), label=_("tasks"), help_text=_TASKS_HELP)
        self.initial["tasks"] = [text for row in rows for text in row]
        aliases = dict.fromkeys([*conf.aliases(), *filter(None, [self.instance.pk and self.instance.server])])
        self.fields["server"].widget = forms.Select(choices=[(alias, alias) for alias in aliases])
        self.fields["timezone"].widget = forms.Select(choices=_zones(self.instance.timezone))
        self.fields["spec"].help_text = SPEC_HELP

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("tasks") and cleaned.get("server") and cleaned.get("kind"):
            try:
                self.instance.signatures = encode_invocations(self._signatures(cleaned))
            except ValidationError as error:
                self.add_error("tasks", error)
            except ConfigurationError as error:
                self.add_error("server", str(error))
        return cleaned

    def _row(self, signature: Signature) -> Row:
        return Row.of(signature) if self.may_see_raw else Row.masked(signature, self.instance.server)

    def _update_errors(self, errors: ValidationError) -> None:
        """Faults of the signatures, such as their number, are those of the tasks here, which may have been told."""
        faults = errors.error_dict.pop("signatures", None)
        if faults and "tasks" not in self.errors:
            errors.error_dict["tasks"] = faults
        super()._update_errors(errors)  # type: ignore[misc]

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"signatures"}  # type: ignore[misc,no-any-return]

    def _signatures(self, cleaned: dict[str, Any]) -> list[Signature]:
        """What was not touched stays as it was, and all that the form does not show. Rows that look alike: in order."""
        registry, rows = servers[cleaned["server"]].registry, cleaned["tasks"]
        untouched: defaultdict[Row, list[Signature]] = defaultdict(list)
        for signature in reversed(self._before):
            untouched[self._row(signature)].append(signature)
        found, errors = [], []
        for position, row in enumerate(rows):
            try:
                partial = gets_results(cleaned["kind"], position, len(rows))
                found.append(untouched[row].pop() if untouched[row] else self._changed(row, registry, partial))
            except ValidationError as error:
                errors.append(error)
        if errors:
            raise ValidationError(errors)
        return found

    def _changed(self, row: Row, registry: Registry, partial: bool) -> Signature:
        if not self.may_see_raw and HIDDEN in row.arguments:
            raise ValidationError(_("%s: write anew what is hidden.") % row.task)
        return signature_of(row, registry, partial=partial)


def told(schedule: Schedule, runs: Iterable[datetime]) -> list[str]:
    """Times as people read them, in the zone of the schedule."""
    try:
        zone = schedule.cron.zone or schedule.zone
    except UNREADABLE:
        zone = None
    return [date_format(timezone.localtime(run, zone), "D, j M Y H:i:s T") for run in runs]


_TASKS_HELP = _(
    "A task and its arguments, as a JSON array or as an object by name. A group and a chain have several; the last one "
    "of a chord gets the results of the others."
)


def _zones(present: str) -> list[tuple[str, str]]:
    names = sorted(available_timezones() | ({present} if present else set()))
    return [("", f"({timezone.get_default_timezone_name()})"), *((name, name) for name in names)]


def _invocations(schedule: Schedule) -> tuple[Signature, ...]:
    try:
        return schedule.invocations if schedule.signatures else ()
    except DecodeError:
        return ()
