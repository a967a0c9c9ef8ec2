"""Schedules: when to send which signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_machinery import registry
from django_machinery.cron import GAP_NEXT, GAP_SKIP, OVERLAP_BOTH, OVERLAP_FIRST, DstPolicy, Spec, parse
from django_machinery.cron.words import in_zone
from django_machinery.exceptions import ArgumentError, ConfigurationError, CronError, DecodeError
from django_machinery.models.clock import present_time
from django_machinery.models.fields import MomentField, WireCharField, WireTextField
from django_machinery.protocol.codec import decode_signature, encode_signature
from django_machinery.protocol.signature import Signature

UNREADABLE = (CronError, ConfigurationError, DecodeError, KeyError, ValueError, OSError)
"""What a row raises whose spec, zone or signatures were written past `clean`."""


class ScheduleManager(models.Manager["Schedule"]):
    """Which schedules there are to look after."""

    def now(self) -> datetime:
        """The database's present time, by which all schedulers go."""
        return present_time(connections[self.db])

    def upcoming(self, limit: int = 10) -> QuerySet[Schedule]:
        """Those that will be due next, the soonest first."""
        return self.filter(enabled=True, next_at__isnull=False).order_by("next_at", "pk")[:limit]

    def active(self, server: str, declared: Sequence[str]) -> QuerySet[Schedule]:
        """Those that a scheduler of `server` looks after whose code declares these names.

        A schedule that only another version of the code declares is left to the workers of that version.
        """
        mine = Q(origin=Schedule.Origin.MODEL) | Q(name__in=declared)
        return self.filter(mine, server=server, enabled=True)

    def resting(self, server: str) -> QuerySet[Schedule]:
        """Those that have a plan but were disabled: what they pass over meanwhile is not missed."""
        return self.filter(enabled=False, server=server).exclude(planned_for="")

    def lock(self, keys: Sequence[int]) -> dict[int, Schedule]:
        """These rows, which nobody else gets until the end of the transaction; without those that others have."""
        features = connections[self.db].features
        rows = self.filter(pk__in=keys).order_by("pk")
        if features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        else:  # SQLite: from this statement on the transaction is the only one that writes
            self.filter(pk=0).update(enabled=False)
        return {row.pk: row for row in rows}


class Schedule(models.Model):
    """When to send which signatures, in a zone of its own."""

    class Kind(models.TextChoices):
        TASK = "task", _("a task")
        GROUP = "group", _("a group: tasks side by side")
        CHAIN = "chain", _("a chain: tasks one after the other")
        CHORD = "chord", _("a chord: a group, and a last task with its results")

    class Origin(models.TextChoices):
        CODE = "code", _("declared by the project")
        MODEL = "model", _("made by hand")

    class Missed(models.TextChoices):
        """What becomes of ticks at which no scheduler was there."""

        SKIP = "skip", _("skip them")
        ONE = "one", _("run once for all of them")
        ALL = "all", _("run for each of them")

    class DstGap(models.TextChoices):
        NEXT = GAP_NEXT, _("run when the gap ends")
        SKIP = GAP_SKIP, _("skip it")

    class DstOverlap(models.TextChoices):
        FIRST = OVERLAP_FIRST, _("run the first time")
        BOTH = OVERLAP_BOTH, _("run both times")

    class RunOverlap(models.TextChoices):
        """Whether a tick is sent while the run of the tick before has not ended."""

        ALLOW = "allow", _("run beside it")
        SKIP = "skip", _("skip the new one")

    id = models.BigAutoField(primary_key=True)
    server = WireCharField(_("server"), max_length=64, default="default")
    name = WireCharField(_("name"), max_length=190)
    kind = WireCharField(_("kind"), max_length=16, choices=Kind, default=Kind.TASK)
    spec = WireCharField(_("spec"))
    timezone = WireCharField(_("timezone"), max_length=64, default="", blank=True)
    """IANA name; empty: the project's TIME_ZONE."""
    signatures = WireTextField(_("signatures"))
    """A JSON array of signatures as on the wire; the last one of a chord is its callback."""
    origin = WireCharField(_("origin"), max_length=16, choices=Origin, default=Origin.MODEL, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    starts_at = MomentField(_("starts at"), null=True, blank=True)
    ends_at = MomentField(_("ends at"), null=True, blank=True)
    missed = WireCharField(_("missed"), max_length=16, choices=Missed, default=Missed.ONE)
    catch_up = models.PositiveIntegerField(_("catch up"), null=True, blank=True)
    """Seconds: how old a missed tick may be to be made up for; null: any age."""
    dst_gap = WireCharField(_("dst gap"), max_length=16, choices=DstGap, default=DstGap.NEXT)
    dst_overlap = WireCharField(_("dst overlap"), max_length=16, choices=DstOverlap, default=DstOverlap.FIRST)
    run_overlap = WireCharField(_("run overlap"), max_length=16, choices=RunOverlap, default=RunOverlap.ALLOW)
    next_at = MomentField(_("next at"), null=True, blank=True, editable=False)
    """The next tick from `starts_at` to `ends_at`; null: there is none, or nobody has looked yet."""
    planned_for = WireCharField(max_length=420, default="", blank=True, editable=False)
    """What `next_at` was computed from (`PLAN`): it differs from the row after an update that went round `save`."""
    last_at = MomentField(_("last at"), null=True, blank=True, editable=False)
    last_uuid = WireCharField(default="", blank=True, editable=False)
    """Of the last run: a task's, the last task's of a chain, the callback's of a chord, or a group's."""
    seen_at = MomentField(_("seen at"), null=True, blank=True, editable=False)
    """When a worker last declared it; null for those made by hand."""

    objects: ClassVar[ScheduleManager] = ScheduleManager()

    class Meta:
        db_table = "machinery_schedule"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions: ClassVar = [
            ("run_now_schedule", "Can run schedules now"),
            ("switch_schedule", "Can enable and disable schedules"),
        ]
        ordering = ("server", "name")
        constraints: ClassVar = [models.UniqueConstraint(fields=["server", "name"], name="machinery_schedule_name")]
        indexes: ClassVar = [models.Index(fields=["enabled", "next_at"], name="machinery_schedule_next")]

    def __str__(self) -> str:
        return str(self.name)

    def clean(self) -> None:
        """Raises ValidationError with messages at each field that cannot be used.

        Tasks have to be registered on the server, but for those that the stored row has already: a Go program may have
        them. Arguments have to fit, as far as they are not results to come.
        """
        errors: dict[str, list[str]] = {}
        for field, error in self._faults():
            errors.setdefault(field, []).append(str(error))
        if errors:
            raise ValidationError(errors)

    @property
    def key(self) -> str:
        """What its ticks are kept under."""
        return f"{self.server}:{self.name}"

    @property
    def cron(self) -> Spec:
        """The spec, understood. Raises CronError, or ConfigurationError where croniter is not installed."""
        return parse(self.spec)

    @property
    def zone(self) -> tzinfo:
        """Raises KeyError or ValueError for a zone that there is not."""
        return ZoneInfo(self.timezone) if self.timezone else timezone.get_default_timezone()

    @property
    def invocations(self) -> tuple[Signature, ...]:
        """The signatures. Raises DecodeError."""
        try:
            found = msgspec.json.decode(self.signatures, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DecodeError(f"not a JSON array of signatures: {error}") from error
        return tuple(decode_signature(bytes(each)) for each in found)

    @invocations.setter
    def invocations(self, signatures: Sequence[Signature]) -> None:
        self.signatures = encode_invocations(signatures)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first tick after an aware time, whatever `starts_at` and `ends_at` are. Raises what is `UNREADABLE`."""
        return self.cron.next(moment, self.zone, self._dst)

    def next_due(self, moment: datetime) -> datetime | None:
        """The first tick after an aware time from `starts_at` to `ends_at`. Raises what is `UNREADABLE`."""
        tick = self.next_after(moment if self.starts_at is None else max(moment, self.starts_at - datetime.resolution))
        return tick if tick is not None and self.covers(tick) else None

    def ticks(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The ticks start < t <= end, in order. Raises what is `UNREADABLE`."""
        return self.cron.between(start, end, self.zone, self._dst)

    def covers(self, tick: datetime) -> bool:
        """Is it between `starts_at` and `ends_at`?"""
        return (self.starts_at is None or self.starts_at <= tick) and (self.ends_at is None or tick <= self.ends_at)

    def is_as(self, other: Schedule) -> bool:
        """Is it still enabled, and planned as when `other` was read?"""
        return self.enabled and (self.next_at, self.planned_for) == (other.next_at, other.planned_for)

    def next_runs(self, count: int = 5, after: datetime | None = None) -> list[datetime]:
        """The next ticks, in UTC, from now or another time on; fewer where it ends; none for a row without sense."""
        moment = after or datetime.now(UTC)
        found: list[datetime] = []
        try:
            while len(found) < count and (tick := self.next_due(moment)) is not None:
                found.append(tick)
                moment = tick
        except UNREADABLE:
            return []
        return found

    def words(self) -> str:
        """The spec in words of the active language, with its zone; what is wrong with it where it cannot be read."""
        try:
            spec = self.cron
            told = spec.words(gettext)
            return told if spec.zone or spec.every or not self.timezone else in_zone(told, self.timezone, gettext)
        except UNREADABLE as error:
            return str(error)

    @property
    def _dst(self) -> DstPolicy:
        return DstPolicy(gap=self.dst_gap, overlap=self.dst_overlap)

    def _faults(self) -> Iterator[tuple[str, object]]:
        try:
            self.cron  # noqa: B018
        except UNREADABLE as error:
            yield "spec", error
        try:
            self.zone  # noqa: B018
        except UNREADABLE:
            text = gettext("%s is not in the tz database: write one such as Europe/Berlin")
            yield "timezone", text % repr(self.timezone)
        if self.starts_at is not None and self.ends_at is not None and self.starts_at > self.ends_at:
            yield "ends_at", gettext("It ends before it starts.")
        try:
            signatures = self.invocations
        except DecodeError as error:
            yield "signatures", error
            return
        if wrong := _miscounted(self.kind, len(signatures)):
            yield "signatures", wrong
            return
        try:
            known = registry.of_server(self.server)
        except ConfigurationError as error:
            yield "server", error
            return
        for fault in self._misfits(signatures, known) if known is not None else ():
            yield "signatures", fault

    def _misfits(self, signatures: Sequence[Signature], known: registry.Registry) -> Iterator[str]:
        for position, signature in enumerate(signatures):
            definition = known.find(signature.name)
            if definition is None:
                if signature.name not in self._stored_names():
                    yield f"{signature.name} is not registered on this server."
                continue
            partial = gets_results(self.kind, position, len(signatures)) and not signature.immutable
            try:
                definition.parameters.check(signature.args, partial=partial)
            except ArgumentError as error:
                yield f"{signature.name}: {error}"

    def _stored_names(self) -> frozenset[str]:
        stored = type(self).objects.using(self._state.db).filter(pk=self.pk).first() if self.pk else None
        try:
            return frozenset(signature.name for signature in stored.invocations) if stored is not None else frozenset()
        except DecodeError:
            return frozenset()


def encode_invocations(signatures: Sequence[Signature]) -> str:
    """What `Schedule.signatures` holds."""
    return f"[{','.join(encode_signature(signature).decode() for signature in signatures)}]"


def gets_results(kind: str, position: int, count: int) -> bool:
    """Are results of other tasks appended to the arguments of this one, unless it is immutable?"""
    return (kind == Schedule.Kind.CHAIN and position > 0) or (kind == Schedule.Kind.CHORD and position == count - 1)


def _miscounted(kind: str, count: int) -> str:
    if kind == Schedule.Kind.TASK and count != 1:
        return gettext("A task is one signature.")
    if kind == Schedule.Kind.CHORD and count < 2:
        return gettext("A chord is at least one task, and a last one that gets the results.")
    return gettext("There is no task.") if not count else ""
