"""`manage.py check`: what a user can get wrong, told with a stable id and a hint."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import call_command
from django.db import OperationalError, connections
from django.test import override_settings

from django_machinery import checks, registry
from django_machinery.conf import from_yaml, yaml_files
from django_machinery.drivers.orm.broker import OrmBroker
from django_machinery.registry import Registry, TaskDefinition

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_files(monkeypatch):
    """Files that other tests have read are none of these tests' settings."""
    monkeypatch.setattr(yaml_files, "FILES", {})


def messages(machinery, check=checks.check_servers):
    with override_settings(MACHINERY=machinery):
        return check()


def ids(machinery, check=checks.check_servers):
    return [message.id for message in messages(machinery, check)]


def on_default(**keys):
    return {"default": keys}


@pytest.fixture
def tasks(monkeypatch):
    """A registry in place of the global one."""
    monkeypatch.setattr(registry, "tasks", Registry())
    return registry.tasks


def add(x: int, y: int) -> int:
    return x + y


def subtract(x: int, y: int) -> int:
    return x - y


def half_resolved(x: "Nowhere", y: "int", z: "Any") -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
    """The annotation of x, and that of the result, names nothing."""


class Unbuildable(OrmBroker):
    def __init__(self, url, config):
        raise ValueError(f"{url} is down")


class Complaining(OrmBroker):
    def check(self):
        return [django_checks.Warning("Slow.", id="toy.W001"), django_checks.Warning("Slow.", id="toy.W001")]


class Raising(OrmBroker):
    def check(self):
        raise OSError("cannot reach redis://user:secret@host")


def test_the_settings_of_a_new_project_are_right(tasks):
    for check in (checks.check_settings, checks.check_servers, checks.check_tasks, checks.check_commands):
        assert [m for m in messages({}, check) if m.is_serious()] == []


@pytest.mark.parametrize(
    ("machinery", "expected"),
    [
        ([], []),
        (["default"], ["machinery.E001"]),
        ({"default": 5}, ["machinery.E001"]),
        ({"reports": {}}, ["machinery.E002"]),
        (on_default(BROKRE="x"), ["machinery.E003"]),
        (on_default(LEASE=0), ["machinery.E004"]),
        (on_default(BROKER="localhost:6379"), ["machinery.E005"]),
        (on_default(DEFAULT_QUEUE="q" * 256), ["machinery.E004"]),
        (on_default(DEFAULT_QUEUE="q" * 255), []),
        (on_default(QUEUES=["math", "q" * 256]), ["machinery.E004"]),
        (on_default(QUEUE_WEIGHTS={"q" * 256: 1}), ["machinery.E004"]),
        (
            {"default": {"LEASE": 0}, "reports": {"LEASE": 0, "X": 1}},
            ["machinery.E004", "machinery.E004", "machinery.E003"],
        ),
    ],
)
def test_wrong_settings_have_their_ids(machinery, expected):
    assert ids(machinery, checks.check_settings) == expected


def test_the_nearest_right_key_is_the_hint():
    [message] = messages(on_default(RESULT_BACKND="x"), checks.check_settings)
    assert message.hint == "Did you mean 'RESULT_BACKEND'?"


def test_a_name_in_a_file_that_is_no_setting_is_warned_of(tmp_path, monkeypatch):
    file = tmp_path / "machinery.yml"
    file.write_text("redis: {max_idl: 3}")
    [message] = messages({"default": {**from_yaml(file), "LEASE": 5}}, checks.check_settings)
    assert (message.id, message.level) == ("machinery.W004", django_checks.WARNING)
    assert message.msg == f"{file} has a name that means nothing here: 'redis.max_idl'."
    assert message.hint == "Did you mean 'redis.max_idle'?"


@pytest.mark.parametrize("machinery", [["default"], {"reports": {}}, on_default(LEASE=0), on_default(BROKRE="x")])
def test_settings_that_cannot_be_read_stop_the_other_checks_without_an_exception(machinery, tasks):
    tasks.register(TaskDefinition("add", add))
    assert ids(machinery) == []
    assert ids(machinery, checks.check_tasks) == []


def test_an_unknown_scheme_is_found_and_the_nearest_is_named():
    [message] = messages(on_default(BROKER="orn://default"))
    assert message.id == "machinery.E006"
    assert message.msg == (
        "MACHINERY['default']['BROKER']: There is no broker for the scheme 'orn'. Did you mean 'orm'?"
    )


def test_a_missing_extra_is_found_and_named(tmp_path, monkeypatch):
    (tmp_path / "toy_needs_library.py").write_text("import library_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    drivers = {"toy": {"broker": "toy_needs_library.Broker", "extra": "redis"}}
    [message] = messages(on_default(BROKER="toy://", DRIVERS=drivers))
    assert message.id == "machinery.E007"
    assert "pip install 'django-machinery[redis]'" in message.msg


@pytest.mark.parametrize("port", ["99999", "0", "65536", "http"])
def test_a_port_that_is_none_is_found(port):
    url = f"redis://:pa55word@localhost:{port}/0"
    (message,) = messages(on_default(BROKER=url))
    assert message.id == "machinery.E009"
    assert f"{port} is not a port" in message.msg or "'http' is not a number" in message.msg
    assert "pa55word" not in message.msg


def test_an_app_database_that_does_not_exist_is_found_and_the_nearest_is_named():
    [message] = messages(on_default(DATABASE="defalt"))
    assert (message.id, message.hint) == ("machinery.E008", "Did you mean 'default'?")


def test_a_url_in_place_of_a_database_does_not_show_its_password():
    [message] = messages(on_default(DATABASE="redis://:pa55word@localhost/"))
    assert message.id == "machinery.E008"
    assert "pa55word" not in message.msg


def test_an_orm_alias_that_does_not_exist_is_found():
    assert ids(on_default(BROKER="orm://defalt")) == ["machinery.E101"]


class Features:
    """What an engine can do, without the engine."""

    def __init__(self, able):
        self._able = able

    def __getattr__(self, name):
        if self._able is None:
            raise OperationalError("no route to mysql://user:secret@host")
        return self._able


@pytest.fixture
def engine(monkeypatch):
    """Makes the default database one of that vendor, which can do all, nothing, or cannot be reached (None)."""

    def become(vendor, able):
        monkeypatch.setattr(connections["default"], "vendor", vendor)
        monkeypatch.setattr(connections["default"], "features", Features(able))

    return become


@pytest.mark.parametrize(
    ("vendor", "able", "expected", "words"),
    [
        ("sqlite", True, [], ""),
        ("sqlite", False, ["machinery.E014"], "lacks UPDATE ... RETURNING."),
        ("mysql", True, [], ""),
        ("mysql", False, ["machinery.E014"], "lacks FOR UPDATE SKIP LOCKED."),
        ("mysql", None, ["machinery.E013"], "cannot be asked: no route to mysql://user:***@host"),
    ],
)
def test_an_engine_that_is_too_old_or_away_is_found(engine, vendor, able, expected, words):
    engine(vendor, able)
    with override_settings(MACHINERY={}):
        found = checks.check_databases(databases=["default"])
    assert [message.id for message in found] == expected
    assert all(words in message.msg for message in found)


@pytest.mark.parametrize("databases", [None, [], ["postgres"]])
def test_a_database_that_is_not_to_be_checked_is_not_asked(engine, databases):
    engine("sqlite", None)
    with override_settings(MACHINERY={}):
        assert checks.check_databases(databases=databases) == []


@pytest.mark.django_db
def test_the_real_engine_of_the_suite_is_new_enough():
    assert checks.check_databases(databases=["default"]) == []


def test_only_check_database_connects(engine):
    engine("sqlite", None)
    with override_settings(MACHINERY={}):
        found = django_checks.run_checks(tags=[checks.TAG])
        asked = django_checks.run_checks(tags=[django_checks.Tags.database], databases=["default"])
    assert [m.id for m in found if m.is_serious()] == []
    assert "machinery.E013" in [m.id for m in asked]


def own_broker(driver):
    return on_default(BROKER="own://default", DRIVERS={"own": {"broker": f"{__name__}.{driver.__name__}"}})


@pytest.mark.parametrize("driver", [Unbuildable, Raising])
def test_a_server_that_cannot_be_built_is_a_message_and_no_exception(driver):
    assert "machinery.E009" in ids(own_broker(driver))


def test_a_failed_build_shows_no_secret():
    [message] = [m for m in messages(own_broker(Raising)) if m.id == "machinery.E009"]
    assert "redis://user:***@host" in message.msg


def test_what_a_driver_says_is_passed_on_once():
    assert ids(own_broker(Complaining)).count("toy.W001") == 1


def test_tasks_that_clash_are_found(tasks):
    tasks.register(TaskDefinition("add", add))
    with pytest.raises(Exception, match="has that name"):
        tasks.register(TaskDefinition("minus", subtract, aliases=("add",)))
    [message] = messages({}, checks.check_tasks)
    assert message.id == "machinery.E010"
    assert message.msg == f"Two tasks are called 'add': {__name__}.add and {__name__}.subtract."


def test_a_task_of_a_server_that_does_not_exist_is_found(tasks):
    tasks.register(TaskDefinition("add", add, server="report"))
    [message] = messages({"default": {}, "reports": {}}, checks.check_tasks)
    assert (message.id, message.hint) == ("machinery.E011", "Did you mean 'reports'?")


@pytest.mark.parametrize(("url", "ids"), [("null://", ["machinery.W003"]), ("orm://default", []), ("eager://", [])])
def test_an_atomic_task_of_a_server_that_is_not_one_database_is_found(tasks, url, ids):
    tasks.register(TaskDefinition("add", add, atomic=True))
    settings = {"default": {"BROKER": "eager://" if url == "eager://" else "orm://default", "RESULT_BACKEND": url}}
    assert [message.id for message in messages(settings, checks.check_servers) if "atomic" in message.msg] == ids


def test_a_sensitive_parameter_that_does_not_exist_is_found(tasks):
    tasks.register(TaskDefinition("add", add, sensitive=("x", "yy")))
    [message] = messages({}, checks.check_tasks)
    assert message.id == "machinery.E012"
    assert "has no parameter 'yy'" in message.msg


def test_an_annotation_that_cannot_be_resolved_is_found(tasks):
    tasks.register(TaskDefinition("half_resolved", half_resolved))
    [message] = messages({}, checks.check_tasks)
    assert message.id == "machinery.W002"
    assert "an annotation of 'x' that means nothing" in message.msg


@pytest.fixture
def other_runworker(tmp_path, monkeypatch):
    """An importable app that has a command `runworker`."""
    commands = tmp_path / "other_queue" / "management" / "commands"
    commands.mkdir(parents=True)
    (tmp_path / "other_queue" / "__init__.py").touch()
    (commands / "runworker.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield "other_queue"
    sys.modules.pop("other_queue", None)


@pytest.mark.parametrize("first", [True, False])
def test_another_runworker_is_found_and_the_one_that_runs_is_named(other_runworker, settings, first):
    settings.INSTALLED_APPS = (
        [other_runworker, *settings.INSTALLED_APPS] if first else [*settings.INSTALLED_APPS, other_runworker]
    )
    [message] = checks.check_commands()
    assert message.id == "machinery.W001"
    assert message.msg.endswith(f"it runs that of {'other_queue' if first else 'django_machinery'}.")


def test_the_checks_are_part_of_manage_py_check():
    refused = pytest.raises(Exception, match=r"machinery\.E003")
    with override_settings(MACHINERY=on_default(BROKRE="x")), refused:
        call_command("check", tags=["machinery"])


def test_every_id_is_explained():
    page = (ROOT / "docs/reference/checks.md").read_text()
    explained = re.findall(r"^\| `(machinery\.[EW]\d{3})` \|", page, re.MULTILINE)
    code = "\n".join(path.read_text() for path in (ROOT / "django_machinery").rglob("*.py"))
    assert sorted(explained) == sorted(set(re.findall(r"machinery\.[EW]\d{3}", code)))
