"""The benchmarks run and report rightly; how fast anything is, no test says."""

import json
import sys
import venv
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import peers, profile, report
from tests.benchmarks.contenders import ENTRIES, Role
from tests.benchmarks.figures import METRICS, medians
from tests.processes import Process
from tests.services import Postgres, require

SECONDS = 100.0
LOOKS = """\
thread (7): MainThread;run (django_machinery/worker/child.py:68);wait (threading.py:9) 1
thread (8): machinery-task-1;serve (django_machinery/worker/pool.py:5);add (tests/benchmarks/tasks.py:12) 2
thread (9): machinery-task-2;serve (django_machinery/worker/pool.py:6) 3
"""


@pytest.fixture(params=["postgres", "sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "postgres":
        require(Postgres)
    return str(request.param)


def output_of(*arguments: str) -> str:
    """What a command prints that ends well."""
    with Process.python("-m", *arguments) as process:
        assert process.wait(timeout=SECONDS) == 0, process.output
        return process.output


def test_product_and_floor_are_measured_side_by_side(engine: str, tmp_path: Path):
    file = tmp_path / "figures.json"
    options = ("--quick", "--tasks", "2000", "--rounds", "1", "--roles", "product", "floor", "--engines", engine)
    assert "| drain, tasks/s |" in output_of("tests.benchmarks", *options, "--json", str(file))
    contenders = json.loads(file.read_text())["contenders"]
    assert [contender["name"] for contender in contenders] == ["django_machinery", "floor"]
    for contender in contenders:
        assert contender["medians"].keys() == {metric.key for metric in METRICS}
        assert contender["medians"]["singly"] > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the memory of processes from /proc")
def test_waiting_messages_take_no_memory_of_a_worker(engine: str):
    output = output_of("tests.benchmarks.memory", "--messages", "10000", "--seconds", "1", "--engines", engine)
    assert output.count("a child process: ") == 2
    assert output.count("the supervisor: ") == 1


def test_the_table_compares_with_the_floor_and_with_the_better_peer():
    entries = [entry for entry in ENTRIES if entry.engine == "postgres"]
    drains = {"django_machinery": 50.0, "floor": 100.0, "procrastinate": 5.0, "huey": 10.0}
    measured = {entry.key: [dict.fromkeys((m.key for m in METRICS), drains[entry.name])] for entry in entries}
    lines = list(report.as_text(entries, measured, {}))
    assert "|  | django_machinery | floor | procrastinate | huey | of the floor | of the best peer |" in lines
    assert "| drain, tasks/s | 50 | 100 | 5 | 10 | x 0.5 | x 5 |" in lines
    assert "| idle round trip p50, ms | 50 | 100 | 5 | 10 | x 0.5 | x 10 |" in lines


def test_a_figure_is_the_median_of_the_rounds_that_have_it():
    rounds = [dict.fromkeys((m.key for m in METRICS), value) for value in (3.0, None, 1.0, 9.0)]
    assert medians(rounds)["drain"] == 3.0


def test_peers_that_cannot_be_installed_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def create(directory: Path, **_: bool) -> None:
        (directory / "bin").mkdir()
        (directory / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(venv, "create", create)
    monkeypatch.setattr(peers, "REQUIREMENTS", (str(tmp_path / "no such peer"),))
    pythons = {Role.PEER: sys.executable}
    context = benchmarks.prepare_peers(pythons, tmp_path)
    assert "pip could not install" in context["NOT MEASURED: peers"]
    assert not pythons


def test_the_profile_charges_the_package_for_what_it_calls(tmp_path: Path):
    (tmp_path / "1").write_text(LOOKS)
    lines = list(profile.report(list(profile.read(tmp_path / "1")), tasks=1000))
    assert lines[0].split() == ["12.0", "in", "all"]
    assert ["10.0", "serve", "(django_machinery/worker/pool.py)"] in [line.split() for line in lines]
    assert ["2.0", "run", "(django_machinery/worker/child.py)"] in [line.split() for line in lines]
