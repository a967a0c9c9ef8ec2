"""Sending an index and following it, for the page, the command and the nightly schedule alike."""

from dataclasses import dataclass

from django.db import transaction

from django_machinery import AsyncResult, Chord, ChordResult, Group, TaskFailed, TaskUnknown, send_chord, servers, task
from django_machinery.models import Schedule
from testproject.codeindex.models import Index
from testproject.codeindex.packages import python_files
from testproject.codeindex.tasks import index_file, merge_index

NIGHTLY = "Index the newest package again"
"""The schedule that comes with the first index. It is in the admin, to be changed or deleted there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an index is. With an `error` it will not get further."""

    done: int
    total: int
    error: str = ""


@transaction.atomic
def send_index(package: str) -> tuple[Index, ChordResult]:
    """Begin an index of an installed package: one task a file, and one that merges what they found.

    The index and its messages commit together. Raises LookupError for a package that is not installed.
    """
    paths = python_files(package)
    if not Index.objects.exists():
        _schedule_nightly()
    index = Index.objects.create(package=package, files=len(paths))
    members = Group(*[index_file.signature(index.pk, path) for path in paths])
    result = send_chord(Chord(members, merge_index.signature(index.pk)))
    index.group_uuid, index.callback_uuid = result.group.uuid, result.uuid
    index.save()
    return index, result


@task
def index_newest() -> str:
    """Index the package again that was indexed last; returns its name, empty where there is none."""
    newest = Index.objects.first()
    if newest is None:
        return ""
    send_index(newest.package)
    return newest.package


def follow(index: Index) -> Standing:
    """Where an index stands now."""
    if index.finished_at is not None:
        return Standing(index.files, index.files)
    progress = servers["default"].backend.group_progress(index.group_uuid)
    done = progress.done if progress is not None else 0
    try:
        AsyncResult[int](index.callback_uuid).touch()
    except (TaskFailed, TaskUnknown) as error:
        return Standing(done, index.files, str(error))
    return Standing(done, index.files)


def _schedule_nightly() -> None:
    if not Schedule.objects.filter(name=NIGHTLY).exists():
        schedule = Schedule(name=NIGHTLY, spec="0 3 * * ?", run_overlap=Schedule.RunOverlap.SKIP)
        schedule.invocations = (index_newest.signature(),)
        schedule.save()
