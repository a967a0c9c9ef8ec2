"""The benchmarks run and report rightly; how fast anything is, no test says."""

import json
import os
import sys
import venv
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.benchmarks import executables, profile, recording, report, rounds
from tests.benchmarks.contenders import ENTRIES, Entry, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.figures import METRICS, Figures, medians
from tests.benchmarks.rounds import Measured, Sizes
from tests.benchmarks.stores import Store
from tests.benchmarks.target import STATS
from tests.interop.go import build
from tests.processes import Process
from tests.services import Postgres, Redis, Service, require

SECONDS = 100.0
LOOKS = """\
thread (7): MainThread;run (django_machinery/worker/child.py:68);wait (threading.py:9) 1
thread (8): machinery-task-1;serve (django_machinery/worker/pool.py:5);add (tests/benchmarks/tasks.py:12) 2
thread (9): machinery-task-2;serve (django_machinery/worker/pool.py:6) 3
"""


SERVERS: dict[str, type[Service]] = {"postgres": Postgres, "redis": Redis}


@pytest.fixture(params=["postgres", "redis", "sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param in SERVERS:
        require(SERVERS[request.param])
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


def test_the_original_is_measured_too(tmp_path: Path):
    require(Redis)
    build()
    file = tmp_path / "figures.json"
    options = ("--quick", "--tasks", "2000", "--rounds", "1", "--roles", "original", "--engines", "redis")
    output_of("tests.benchmarks", *options, "--json", str(file))
    (original,) = json.loads(file.read_text())["contenders"]
    assert original["failures"] == []
    assert original["medians"]["p50"] > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the memory of processes from /proc")
@pytest.mark.parametrize("engine", ["postgres", "sqlite"], indirect=True)
def test_waiting_messages_take_no_memory_of_a_worker(engine: str):
    output = output_of("tests.benchmarks.memory", "--messages", "10000", "--seconds", "1", "--engines", engine)
    assert output.count("a child process: ") == 2
    assert output.count("the supervisor: ") == 1


def measured(value: float) -> Measured:
    return Measured([dict.fromkeys((metric.key for metric in METRICS), value)])


def test_the_report_compares_with_the_floor_the_original_and_the_better_peer():
    entries = [entry for entry in ENTRIES if entry.engine == "redis"]
    values = {entry.key: measured(2.0) for entry in entries}
    values |= {"django_machinery on redis": measured(50.0), "floor on redis": measured(100.0)}
    values |= {"Go machinery on redis": measured(25.0), "huey on redis": measured(10.0)}
    lines = list(report.as_text(entries, values, {}))
    assert "|  | django_machinery | floor | Go machinery | Dramatiq | huey | taskiq | Celery | arq | RQ |" in lines
    assert "| drain, tasks/s | 50 | 100 | 25 | 2 | 10 | 2 | 2 | 2 | 2 |" in lines
    assert "| django_machinery | of the floor | of the original | of the best peer |" in lines
    assert "| drain, tasks/s | x 0.5 | x 2 | x 5 |" in lines
    assert "| idle round trip p50, ms | x 0.5 | x 2 | x 25 |" in lines


def test_a_round_that_fails_is_reported_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    entries = [entry for entry in ENTRIES if entry.engine == "sqlite"]
    rest = measured(2.0).figures[0]

    def measure(entry: Entry, executables: Executables, store: Store, sizes: Sizes) -> Figures:
        if entry.role is Role.PEER:
            raise RuntimeError("huey on sqlite: of 10 tasks 9 have succeeded\nand more")
        return rest

    monkeypatch.setattr(rounds, "measure", measure)
    anything = dict.fromkeys((entry.key for entry in entries), Executables())
    found = rounds.run(entries, anything, {"sqlite": cast("Store", None)}, Sizes(), 2)
    assert found["floor on sqlite"] == Measured([rest, rest])
    failed = "FAILED round 1: huey on sqlite: of 10 tasks 9 have succeeded; round 2: huey on sqlite: of 10 tasks 9"
    assert failed in "\n".join(report.as_text(entries, found, {}))


def test_a_figure_is_the_median_of_the_rounds_that_have_it():
    rounds = [dict.fromkeys((m.key for m in METRICS), value) for value in (3.0, None, 1.0, 9.0)]
    assert medians(rounds)["drain"] == 3.0


def test_a_peer_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def create(directory: Path, **_: bool) -> None:
        (directory / "bin").mkdir(parents=True)
        (directory / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(venv, "create", create)
    (huey,) = [
        replace(entry, packages=(str(tmp_path / "no such peer"),)) for entry in ENTRIES if entry.key == "huey on sqlite"
    ]
    found, missing = executables.prepare([huey], tmp_path, tmp_path)
    assert not found
    assert "pip could not install" in missing["huey on sqlite"]


def test_the_original_is_built_or_the_report_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (original,) = [entry for entry in ENTRIES if entry.role is Role.ORIGINAL]
    monkeypatch.setattr("tests.interop.go.missing", lambda: "install Go 1.24 or newer")
    assert executables.prepare([original], tmp_path, tmp_path) == ({}, {original.key: "install Go 1.24 or newer"})


def test_the_profile_charges_the_package_for_what_it_calls(tmp_path: Path):
    (tmp_path / "1").write_text(LOOKS)
    lines = list(profile.report(list(profile.read(tmp_path / "1")), tasks=1000))
    assert lines[0].split() == ["12.0", "in", "all"]
    assert ["10.0", "serve", "(django_machinery/worker/pool.py)"] in [line.split() for line in lines]
    assert ["2.0", "run", "(django_machinery/worker/child.py)"] in [line.split() for line in lines]


def test_what_figures_for_charts_cost_is_measured_in_pairs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The order changes from pair to pair, and a pair in which the clock has not ticked compares nothing."""
    monkeypatch.setenv(STATS, "1")
    asked = []
    seconds = iter([0.2, 0.3, 0.6, 0.2, 0.0, 0.1, 0.4, 0.2])

    def measure(entry: Entry, executables: Executables, store: Store, sizes: Sizes) -> Figures:
        asked.append((entry.key, os.environ[STATS], sizes.tasks))
        return {"worker": next(seconds)}

    monkeypatch.setattr(rounds, "measure", measure)
    monkeypatch.setattr(recording, "open_stores", lambda: nullcontext({"sqlite": None}))
    recording.main(["--pairs", "4", "--tasks", "70", "--engine", "sqlite"])
    assert asked == [("django_machinery on sqlite", stats, 70) for stats in "01100110"]
    output = capsys.readouterr().out
    assert "pair 1: 0.3000 with, 0.2000 without\n" in output
    assert "x 2.000, half of the 3 pairs within 1.500 and 3.000" in output


def test_pairs_that_are_too_short_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(STATS, "1")
    monkeypatch.setattr(rounds, "measure", lambda *_: {"worker": 0.0})
    monkeypatch.setattr(recording, "open_stores", lambda: nullcontext({"sqlite": None}))
    with pytest.raises(SystemExit, match="Too few tasks"):
        recording.main(["--pairs", "2", "--engine", "sqlite"])
