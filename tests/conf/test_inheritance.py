"""What a supervisor has accepted of its files reaches its children, and nobody else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from django_machinery.conf import from_yaml, handed_down
from django_machinery.conf.following import Follower
from django_machinery.conf.inheritance import VARIABLE
from tests.conf.conftest import GOOD

CHILD = """
import json, os, subprocess, sys
from django_machinery.conf import from_yaml
settings = [from_yaml(path) for path in sys.argv[1:]]
program = subprocess.run(["env"], capture_output=True, text=True).stdout
print(json.dumps({"settings": settings, "environment": dict(os.environ), "program": program}))
"""


def start(*paths: Path, variables: dict[str, str], files: tuple[int, ...] = ()) -> dict[str, Any]:
    """A process that reads those files; what it says."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        pass_fds=files,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def child(*paths: Path) -> dict[str, Any]:
    with handed_down() as (variables, files):
        return start(*paths, variables=variables, files=files)


def test_a_child_works_with_what_was_accepted_whatever_the_file_says_by_then(file: Path):
    Follower("default", from_yaml(file), lambda: None)
    file.write_text("broken: [")
    for _ in range(2):
        assert child(file)["settings"][0]["DEFAULT_QUEUE"] == "go_tasks"


def test_a_child_works_with_what_was_taken_up_since(file: Path):
    follower = Follower("default", from_yaml(file), lambda: None)
    file.write_text(GOOD.replace("concurrency: 2", "concurrency: 16").replace("go_tasks", "others"))
    follower.look()
    file.unlink()
    [settings] = child(file)["settings"]
    assert (settings["CONCURRENCY"], settings["DEFAULT_QUEUE"]) == (16, "go_tasks")


def test_a_child_inherits_the_files_of_all_servers_those_that_are_not_followed_too(file: Path, tmp_path: Path):
    other = tmp_path / "other.yml"
    other.write_text("default_queue: others\nprogram_name: " + "x" * 100_000)
    accepted = [dict(from_yaml(file)), {**from_yaml(other, reload=False)}]
    file.unlink()
    other.unlink()
    assert child(file, other)["settings"] == accepted


def test_neither_a_child_nor_its_programs_see_what_was_handed_down(file: Path):
    from_yaml(file)
    said = child(file)
    assert said["settings"][0]["BROKER"] == "redis://:hunter2@localhost:6379"
    assert VARIABLE not in said["environment"]
    assert "hunter2" not in json.dumps(said["environment"])
    assert VARIABLE not in said["program"]
    assert "hunter2" not in said["program"]


def test_other_processes_read_the_file(file: Path):
    Follower("default", from_yaml(file), lambda: None)
    file.write_text("default_queue: others")
    assert start(file, variables={})["settings"] == [{"DEFAULT_QUEUE": "others"}]


def test_a_process_that_got_the_variable_alone_reads_the_file(file: Path):
    with handed_down() as (variables, _):
        assert not variables
    from_yaml(file)
    with handed_down() as (variables, _):
        assert start(file, variables=variables)["settings"][0]["DEFAULT_QUEUE"] == "go_tasks"


def test_a_project_without_files_hands_nothing_down():
    with handed_down() as (variables, files):
        assert (variables, files) == ({}, ())


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_nothing_stays_open(file: Path):
    from_yaml(file)
    before = os.listdir("/proc/self/fd")
    with handed_down() as (_, files):
        assert len(files) == 1
    assert os.listdir("/proc/self/fd") == before
