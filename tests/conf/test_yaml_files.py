"""The original's YAML file: read, followed, and kept to when an edit breaks it."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from django_machinery.conf import KEYS, from_yaml, server_config
from django_machinery.conf.yaml_files import TUNABLE, FileSettings, Follower, follow
from django_machinery.exceptions import ConfigurationError
from tests.waiting import wait_until

GOOD = """
broker: redis://:hunter2@localhost:6379
default_queue: go_tasks
results_expire_in: 120
concurrency: 2
redis:
  max_idle: 4
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "machinery.yml"
    path.write_text(GOOD)
    return path


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a follower hands down ends with the test."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


class Followed:
    """A follower, and how often it told of a change."""

    def __init__(self, current: FileSettings) -> None:
        self.changes = 0
        self.follower = Follower("default", current, self._count)

    def _count(self) -> None:
        self.changes += 1


def test_a_file_holds_the_settings_of_a_server(file: Path):
    with override_settings(MACHINERY={"default": from_yaml(file)}):
        config = server_config()
    assert (config.broker, config.default_queue) == ("redis://:hunter2@localhost:6379", "go_tasks")
    assert (config.results_expire_in, config.concurrency, config.redis_max_idle) == (120, 2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("broker: [", "line"),
        ("a: b: hunter2", "line 1: mapping values"),
        ("broker: hunter2@nowhere", "URL"),
        ("results_expire_in: soon", "RESULTS_EXPIRE_IN"),
        ("redis: {max_idle: -1}", "REDIS_MAX_IDLE"),
        ("colour: blue", "colour"),
        ("", "mapping"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_no_secret(file: Path, text: str, words: str):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        from_yaml(file)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml cannot be read"):
        from_yaml(tmp_path / "nowhere.yml")


def test_changes_of_tunable_settings_are_taken_up(file: Path):
    current = from_yaml(file)
    with override_settings(MACHINERY={"default": current}):
        assert server_config().concurrency == 2
        followed = Followed(current)
        followed.follower.look()
        assert followed.changes == 0
        file.write_text(GOOD.replace("concurrency: 2", "concurrency: 16").replace("results_expire_in: 120", ""))
        followed.follower.look()
        assert followed.changes == 1
        assert (server_config().concurrency, server_config().results_expire_in) == (16, None)
        assert from_yaml(file)["CONCURRENCY"] == 16


def test_a_changed_url_asks_for_a_restart_and_other_changes_beside_it_are_taken_up(
    file: Path, caplog: pytest.LogCaptureFixture
):
    current = from_yaml(file)
    with override_settings(MACHINERY={"default": current}), caplog.at_level(logging.WARNING, "django_machinery"):
        followed = Followed(current)
        file.write_text(GOOD.replace("hunter2@localhost", "hunter3@elsewhere").replace("concurrency: 2", ""))
        followed.follower.look()
        assert followed.changes == 1
        assert (server_config().broker, server_config().concurrency) == ("redis://:hunter2@localhost:6379", None)
    assert [record.getMessage() for record in caplog.records] == ["These settings need a restart: BROKER"]


@pytest.mark.parametrize("text", ["broker: [", GOOD + "concurrency: many"])
def test_a_broken_edit_changes_nothing_and_the_log_says_why_once(
    file: Path, text: str, caplog: pytest.LogCaptureFixture
):
    current = from_yaml(file)
    with override_settings(MACHINERY={"default": current}), caplog.at_level(logging.WARNING, "django_machinery"):
        followed = Followed(current)
        file.write_text(text)
        followed.follower.look()
        followed.follower.look()
        file.unlink()
        followed.follower.look()
        assert followed.changes == 0
        assert server_config().concurrency == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "Settings stay as they are" in caplog.text
    assert "hunter2" not in caplog.text


def test_processes_started_from_then_on_get_what_was_accepted(file: Path):
    """Whatever has become of the file: a child that is replaced after a broken edit works on."""
    Followed(from_yaml(file))
    file.write_text("broken: [")
    code = f"from django_machinery.conf import from_yaml; import json; print(json.dumps(from_yaml({str(file)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert json.loads(done.stdout)["DEFAULT_QUEUE"] == "go_tasks", done.stderr


def test_following_looks_by_itself(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_machinery.conf.yaml_files.LOOK_EVERY", 0.02)
    changes: list[int | None] = []
    with override_settings(MACHINERY={"default": from_yaml(file)}):
        follow("default", lambda: changes.append(server_config().concurrency))
        file.write_text(GOOD.replace("concurrency: 2", "concurrency: 3"))
        wait_until(lambda: changes == [3])


def test_other_settings_and_files_without_reload_are_not_followed(file: Path):
    for settings in ({}, {"CONCURRENCY": 2}, from_yaml(file, reload=False)):
        with override_settings(MACHINERY={"default": settings}):
            follow("default", lambda: pytest.fail("nothing has changed"))
    assert not any(name.startswith("MACHINERY_FILE_") for name in os.environ)


def test_what_may_be_tuned_is_a_setting():
    assert KEYS.keys() >= TUNABLE
