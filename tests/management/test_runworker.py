"""The options of `manage.py runworker`; what it does with them is shown in tests/acceptance."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from django_machinery.management.subcommands import worker
from django_machinery.server import Server
from django_machinery.worker.pipes import ExitStatus
from django_machinery.worker.plan import Plan

ORM = {"BROKER": "orm://default", "RESULT_BACKEND": "orm://default", "QUEUES": ["a", "b"], "CONCURRENCY": 3}


class Recorder:
    """Stands for a supervisor: notes what it is asked to do, and does nothing."""

    plans: ClassVar[list[Plan]] = []
    status: ClassVar[ExitStatus] = ExitStatus.DONE

    def __init__(self, server: Server, plan: Plan, announce: Callable[[str], object]) -> None:
        self.plans.append(plan)

    def run(self) -> ExitStatus:
        return self.status

    def reload(self) -> None:
        raise AssertionError


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What supervisors are asked to do."""
    monkeypatch.setattr(worker, "Supervisor", Recorder)
    monkeypatch.setattr(Recorder, "plans", [])
    return Recorder.plans


@pytest.mark.django_db
@pytest.mark.parametrize("command", [("runworker",), ("machinery", "worker")])
class TestPlan:
    def test_by_default_it_is_what_the_settings_say(self, plans: list[Plan], command: tuple[str, ...]):
        with override_settings(MACHINERY={"default": ORM}):
            call_command(*command)
        (plan,) = plans
        assert (plan.queues, plan.processes, plan.concurrency, plan.shutdown_timeout) == (("a", "b"), 1, 3, 25.0)
        assert (plan.drain, plan.max_tasks, plan.heartbeat_file, plan.tag) == (False, None, None, "")

    def test_options_come_first(self, plans: list[Plan], command: tuple[str, ...]):
        options = "--queues=x,y --concurrency=0 --processes=4 --tag=t --drain --max-tasks=9 --shutdown-timeout=1.5"
        with override_settings(MACHINERY={"default": ORM}):
            call_command(*command, *options.split(), "--heartbeat-file=/tmp/alive")
        (plan,) = plans
        assert (plan.queues, plan.processes, plan.concurrency, plan.shutdown_timeout) == (("x", "y"), 4, 0, 1.5)
        assert (plan.drain, plan.max_tasks, plan.heartbeat_file, plan.tag) == (True, 9, Path("/tmp/alive"), "t")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--queues=,", "names separated by commas"),
        ("--concurrency=-1", "whole number"),
        ("--processes=0", "whole number from 1"),
        ("--max-tasks=x", "whole number"),
        ("--shutdown-timeout=-1", "a number of seconds"),
        ("--shutdown-timeout=inf", "a number of seconds"),
        ("--server=nowhere", "no server 'nowhere'"),
        ("--heartbeat-file=/nowhere/alive", "'/nowhere/alive' cannot be written"),
        ("--heartbeat-file=/tmp", "'/tmp' is a directory"),
    ],
)
def test_bad_options_are_refused(plans: list[Plan], option: str, words: str):
    with pytest.raises(CommandError, match=words):
        call_command("runworker", option)
    assert plans == []


def test_a_broker_that_runs_tasks_itself_needs_no_worker(plans: list[Plan], db: None):
    eager = {"default": {"BROKER": "eager://", "RESULT_BACKEND": "eager://", "LOCK": "eager://"}}
    with override_settings(MACHINERY=eager), pytest.raises(CommandError, match="nothing to do"):
        call_command("runworker")
    assert plans == []


def test_errors_of_the_configuration_are_found_first(plans: list[Plan]):
    with (
        override_settings(MACHINERY={"default": {"BORKER": "x"}}),
        pytest.raises(CommandError, match=r"machinery\.E003"),
    ):
        call_command("runworker")
    assert plans == []


@pytest.mark.django_db
def test_a_database_without_tables_is_told_with_the_cure(plans: list[Plan]):
    MigrationRecorder(connection).migration_qs.filter(app="machinery").delete()
    with pytest.raises(CommandError, match=r"run manage\.py migrate --database=default"):
        call_command("runworker")
    assert plans == []


@pytest.mark.django_db
@pytest.mark.usefixtures("plans")
def test_its_exit_status_tells_that_tasks_were_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Recorder, "status", ExitStatus.CUT_OFF)
    with pytest.raises(SystemExit) as ended:
        call_command("runworker")
    assert ended.value.code == 1


def test_the_help_of_machinery_names_all_that_people_use():
    variables = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "django", "machinery", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    for name in ("worker", "send", "pending", "delayed", "dead", "requeue", "purge"):
        assert f"\n    {name} " in done.stdout
    assert "\n    child" not in done.stdout
