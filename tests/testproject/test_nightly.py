"""The index is made again every night, by a schedule that people can change."""

from datetime import timedelta

import pytest

from django_machinery import servers
from django_machinery.models import Schedule
from django_machinery.scheduler.scheduler import Scheduler
from django_machinery.testing import run_tasks
from testproject.codeindex.indexing import NIGHTLY, index_newest, send_index
from testproject.codeindex.models import Index

pytestmark = pytest.mark.django_db
PACKAGE = "xdist"


def test_the_first_index_brings_the_schedule_which_people_may_delete():
    send_index(PACKAGE)
    row = Schedule.objects.get(name=NIGHTLY)
    assert (row.spec, row.origin, row.invocations[0].name) == ("0 3 * * ?", "model", index_newest.name)
    row.clean()
    row.delete()
    send_index(PACKAGE)
    assert not Schedule.objects.exists()


def test_at_night_the_newest_package_is_indexed_again():
    first, _ = send_index(PACKAGE)
    run_tasks()
    now = Schedule.objects.now()
    scheduler = Scheduler(servers["default"], lambda: now)
    scheduler.look()
    due = Schedule.objects.get(name=NIGHTLY).next_at
    assert due is not None
    now = due + timedelta(seconds=1)
    scheduler.look()
    run_tasks()
    (again,) = Index.objects.all()
    assert (again.package, again.finished_at is not None, again.pk > first.pk) == (PACKAGE, True, True)


def test_without_an_index_there_is_nothing_to_do():
    assert index_newest() == ""
