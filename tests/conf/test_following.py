"""Following a file of settings, and keeping to what was accepted when an edit breaks it."""

import logging
import shutil
from pathlib import Path

import pytest
from django.test import override_settings

from django_machinery.conf import KEYS, follow, following, from_yaml, server_config
from django_machinery.conf.following import TUNABLE, Follower
from django_machinery.conf.yaml_files import FileSettings
from tests.conf.conftest import GOOD
from tests.waiting import wait_until


class Followed:
    """A follower, and how often it told of a change."""

    def __init__(self, current: FileSettings) -> None:
        self.changes = 0
        self.follower = Follower("default", current, self._count)

    def _count(self) -> None:
        self.changes += 1


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


def test_following_looks_by_itself(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_machinery.conf.following.LOOK_EVERY", 0.02)
    changes: list[int | None] = []
    with override_settings(MACHINERY={"default": from_yaml(file)}):
        follow("default", lambda: changes.append(server_config().concurrency))
        file.write_text(GOOD.replace("concurrency: 2", "concurrency: 3"))
        wait_until(lambda: changes == [3])


def test_other_settings_and_files_without_reload_are_not_followed(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "Follower", lambda *_: pytest.fail("it is followed"))
    for settings in ({}, {"CONCURRENCY": 2}, from_yaml(file, reload=False)):
        with override_settings(MACHINERY={"default": settings}):
            follow("default", lambda: None)


def test_a_change_between_reading_and_following_is_seen(file: Path):
    current = from_yaml(file)
    file.write_text(GOOD.replace("concurrency: 2", "concurrency: 16"))
    with override_settings(MACHINERY={"default": current}):
        Followed(current).follower.look()
        assert server_config().concurrency == 16


def test_a_file_that_takes_the_place_of_another_is_seen(file: Path):
    """Also one of the same size and age."""
    current = from_yaml(file)
    successor = file.with_name("successor.yml")
    successor.write_text(GOOD.replace("concurrency: 2", "concurrency: 3"))
    shutil.copystat(file, successor)
    successor.replace(file)
    with override_settings(MACHINERY={"default": current}):
        Followed(current).follower.look()
        assert server_config().concurrency == 3


def test_a_link_to_another_version_is_seen(tmp_path: Path):
    """As Kubernetes brings new versions of a ConfigMap: machinery.yml -> ..data/machinery.yml, ..data -> ..2026_1."""

    def publish(version: str, text: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "machinery.yml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    publish("..2026_1", GOOD)
    file = tmp_path / "machinery.yml"
    file.symlink_to("..data/machinery.yml")
    current = from_yaml(file)
    with override_settings(MACHINERY={"default": current}):
        followed = Followed(current)
        publish("..2026_2", GOOD.replace("concurrency: 2", "concurrency: 9"))
        shutil.rmtree(tmp_path / "..2026_1")
        followed.follower.look()
        followed.follower.look()
        assert (followed.changes, server_config().concurrency) == (1, 9)


def test_the_log_tells_of_new_names_that_mean_nothing(file: Path, caplog: pytest.LogCaptureFixture):
    file.write_text(GOOD + "colour: blue")
    current = from_yaml(file)
    with override_settings(MACHINERY={"default": current}), caplog.at_level(logging.WARNING, "django_machinery"):
        followed = Followed(current)
        file.write_text(GOOD + "colour: blue\nlok: redis://h\n")
        followed.follower.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} has a name that means nothing here: 'lok'. Did you mean 'lock'?"
    ]


def test_what_may_be_tuned_is_a_setting():
    assert KEYS.keys() >= TUNABLE
