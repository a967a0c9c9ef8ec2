"""`python -m tests.benchmarks.profile`: where the worker processes spend their time while they drain a queue.

py-spy looks 500 times a second at what holds the interpreter of each child process. What a function costs a task is the
time of all looks that found it, or something outside of the package that it had called, divided by the tasks.
"""

import argparse
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import machine
from tests.benchmarks.contenders import ENTRIES, Entry, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.remote import remote
from tests.benchmarks.rounds import SETUP_LIMIT, Sizes, environment, workers
from tests.benchmarks.stores import Store, open_stores
from tests.benchmarks.usage import tree
from tests.processes import Process
from tests.services import scratch_directory

RATE = 500  # looks a second
LIMIT = Sizes.limit  # seconds
ROLES = {
    "MainThread": "the main thread: claims and hands over",
    "machinery-task": "the threads that execute",
    "machinery-committer": "the thread that commits",
}
PACKAGE = "django_machinery/"
SHOWN = 0.2  # microseconds: what costs less is not listed


class Look(NamedTuple):
    """A stack that was seen, and how often."""

    thread: str
    frames: list[str]  # the outermost first
    times: int


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("--tasks", type=int, default=50_000, help="the default is %(default)s")
    engines = sorted({entry.engine for entry in ENTRIES})
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines)
    options = parser.parse_args(arguments)
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=Path(sys.executable).parent)
    if spy is None:
        sys.exit("py-spy was not found: pip install py-spy")
    with open_stores() as stores:
        for entry in ENTRIES:
            if entry.role is Role.PRODUCT and entry.engine in stores and entry.engine in options.engines:
                lines = profile(entry, stores[entry.engine], options.tasks, spy)
                sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.write("\n")
    sys.stdout.writelines(f"{title}: {value}\n" for title, value in machine.describe().items())


def profile(entry: Entry, store: Store, tasks: int, spy: str) -> Iterator[str]:
    """Lines of a report on the drain of that many tasks, which wait before the worker starts to look for them."""
    with ExitStack() as stack:
        target = stack.enter_context(store.fresh())
        directory = stack.enter_context(scratch_directory())
        step = stack.enter_context(remote(sys.executable, entry.program, environment(entry, target)))
        step("create", limit=SETUP_LIMIT)
        step("fill", tasks, limit=LIMIT)
        step("hold", limit=SETUP_LIMIT)
        (supervisor,) = stack.enter_context(workers(entry, target, Executables()))
        supervisor.wait_for_line("READY", timeout=SETUP_LIMIT)
        children = [pid for pid in tree(supervisor.pid) if pid != supervisor.pid]
        with _spies(spy, children, directory):
            step("release", limit=SETUP_LIMIT)
            step("drain", tasks, LIMIT, limit=LIMIT + 10)
        looks = [look for file in directory.iterdir() for look in read(file)]
    yield f"\n{store.title}: microseconds a task, of {tasks:,} tasks"
    yield from report(looks, tasks)


@contextmanager
def _spies(spy: str, pids: Sequence[int], directory: Path) -> Iterator[None]:
    """Record the stacks of these processes into files in `directory` while the block runs."""
    with ExitStack() as stack:
        options = (
            "record",
            "--nonblocking",
            "--gil",
            "--threads",
            "--format",
            "raw",
            "--rate",
            str(RATE),
            "--duration",
            "unlimited",
        )
        started = [
            stack.enter_context(Process(spy, *options, "--output", str(directory / str(pid)), "--pid", str(pid)))
            for pid in pids
        ]
        for each in started:
            each.wait_for_line("Sampling process")
        yield
        for each in started:
            each.signal(signal.SIGINT)
        for each in started:
            each.wait()


def read(file: Path) -> Iterator[Look]:
    for line in file.read_text().splitlines():
        stack, times = line.rsplit(" ", 1)
        thread, *frames = stack.split(";")
        yield Look(thread.partition(": ")[2].rstrip("-0123456789") or "others", frames, int(times))


def report(looks: Sequence[Look], tasks: int) -> Iterator[str]:
    cost = 1e6 / RATE / tasks
    threads: Counter[str] = Counter()
    functions: Counter[tuple[str, str]] = Counter()
    for look in looks:
        threads[look.thread] += look.times
        functions[look.thread, _place(look.frames)] += look.times
    yield f"{sum(threads.values()) * cost:7.1f}  in all"
    for thread, times in threads.most_common():
        yield f"{times * cost:7.1f}  {ROLES.get(thread, thread)}"
        found = [(n, place) for (own, place), n in functions.most_common() if own == thread]
        yield from (f"    {n * cost:7.1f}  {place}" for n, place in found if n * cost >= SHOWN)
        yield f"    {sum(n for n, _ in found if n * cost < SHOWN) * cost:7.1f}  all else"


def _place(frames: Sequence[str]) -> str:
    """The innermost function of the package, without its line."""
    own = [frame for frame in frames if PACKAGE in frame]
    return own[-1].rpartition(":")[0] + ")" if own else "outside of the package"


if __name__ == "__main__":
    main(sys.argv[1:])
