"""The project that the documentation's examples belong to, as its pages make it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.markdown import Block
from tests.processes import ROOT, Process

RUNNER = Path(__file__).with_name("run_examples.py")
SHELL = ("bash", "-euo", "pipefail", "-c")
WORKER = "python manage.py runworker\n"


class Project:
    """A Django project called shop, in a directory of that name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def from_tutorial(cls, blocks: Iterable[Block], parent: Path) -> "Project":
        """Paste the shell lines and files of a page, one after the other, into a shell that is in a "clone".

        All but the worker, which the page leaves running in a terminal of its own.
        """
        activate = parent / "clone/.venv/bin/activate"
        activate.parent.mkdir(parents=True)
        activate.write_text(f'PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n')
        script = "".join(_file(block) if block.path else block.text for block in blocks if block.is_pasted)
        assert WORKER in script
        _run([*SHELL, script.replace(WORKER, "")], parent / "clone")
        return cls(parent / "shop")

    def copy(self, directory: Path) -> "Project":
        shutil.copytree(self.directory, directory)
        return Project(directory)

    def write(self, block: Block) -> None:
        """Append a block to the file that it names."""
        _run([*SHELL, _file(block)], self.directory)

    def manage(self, *arguments: str) -> str:
        """Run manage.py to its end; returns what it wrote."""
        return _run([sys.executable, "manage.py", *arguments], self.directory)

    def run(self, page: str, blocks: Iterable[Block]) -> None:
        """Run Python blocks as one session of `manage.py shell`."""
        examples = [[f"{page}:{block.line}", block.text] for block in blocks]
        _run([sys.executable, str(RUNNER)], self.directory, json.dumps(examples))

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """The worker, started as the tutorial does and ended by SIGTERM."""
        environment = {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "shop.settings"}
        with Process(sys.executable, *WORKER.split()[1:], environment=environment, cwd=self.directory) as process:
            process.wait_for_line("^READY: ", timeout=30)
            yield process
            process.terminate()
            assert process.wait(timeout=30) == 0, process.output


def _file(block: Block) -> str:
    path = shlex.quote(str(block.path))
    text = block.text.partition("\n")[2]
    return f"mkdir -p $(dirname {path})\ncat >>{path} <<'END OF FILE'\n\n\n{text}END OF FILE\n"


def _run(command: list[str], directory: Path, stdin: str = "") -> str:
    environment = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "DJANGO_SETTINGS_MODULE": "shop.settings"}
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"
    return done.stdout
