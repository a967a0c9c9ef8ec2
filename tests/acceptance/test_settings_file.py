"""A worker that is configured by a file follows the file."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from django_machinery.conf.inheritance import VARIABLE
from tests.acceptance.conftest import RunningWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.processes import Process

SETTINGS = """
broker: orm://default
result_backend: orm://default
lock: orm://default
lease: 1
concurrency: {concurrency}
redis: {{sentinel_password: hunter2}}
"""


def commands(worker: RunningWorker) -> list[str]:
    """The command lines of its children."""
    listed = subprocess.run(["ps", "-ww", "-o", "args=", "--ppid", str(worker.pid)], capture_output=True, text=True)
    return listed.stdout.splitlines()


@on_databases("default")
def test_a_worker_takes_up_what_may_change_and_outlives_what_may_not(
    spawn: Callable[..., Process], tmp_path: Path, database: str
):
    file = tmp_path / "machinery.yml"
    file.write_text(SETTINGS.format(concurrency=1))
    variables = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.settings_file", "MACHINERY_TEST_FILE": str(file)}
    worker = RunningWorker(spawn("-m", "django", "runworker", **variables))
    worker.wait_for_ready()
    assert "--concurrency=1 " in commands(worker)[0]

    file.write_text(SETTINGS.format(concurrency=3))
    wait_for(lambda: [line for line in commands(worker) if "--concurrency=3 " in line], worker, timeout=10)
    assert tasks.add.send(1, 2).get(timeout=20) == 3, worker.output

    file.write_text(SETTINGS.format(concurrency="[many"))
    wait_for(lambda: "Settings stay as they are" in worker.output, worker, timeout=10)
    os.kill(worker.children()[0], signal.SIGKILL)
    assert tasks.add.send(2, 2).get(timeout=20) == 4, worker.output
    assert tasks.seen_by_a_program.send(["hunter2", VARIABLE]).get(timeout=20) == [], worker.output

    file.write_text(SETTINGS.format(concurrency=3).replace("orm://default", "orm://other"))
    wait_for(lambda: "need a restart: BROKER, LOCK, RESULT_BACKEND" in worker.output, worker, timeout=10)
    assert tasks.add.send(3, 2).get(timeout=20) == 5, worker.output
    assert worker.terminate() == 0
