"""`python -m tests.benchmarks.memory`: how much more memory a worker takes while many messages wait.

The worker runs tasks of 200 ms meanwhile. Exits with 1 when one of its processes grew by more than 30 MB, or when too
few messages waited to show that.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import machine
from tests.benchmarks.contenders import ENTRIES, Entry, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.remote import remote
from tests.benchmarks.rounds import SETUP_LIMIT, environment, workers
from tests.benchmarks.stores import Store, open_stores
from tests.benchmarks.usage import command, peak, reset_peak, tree
from tests.processes import Process

PROMISED = 30.0  # megabytes at most
ENOUGH = 0.9  # of the messages, at the end
NAPS = "tests.benchmarks.contenders.product.naps"
LIMIT = 600.0  # seconds to send the messages
WARM_UP = 1000  # tasks, after which a worker has loaded and cached what it needs
PRODUCTS = {entry.engine: entry for entry in ENTRIES if entry.role is Role.PRODUCT}


@dataclass(frozen=True)
class Growth:
    """One process of the worker, in megabytes of resident memory."""

    process: str
    before: float
    peak: float
    waiting: int  # messages, at the end

    @property
    def grown(self) -> float:
        return self.peak - self.before

    def __str__(self) -> str:
        return f"{self.process}: {self.before:.1f} MB, + {self.grown:.1f} MB at most; {self.waiting:,} messages waited"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="that wait; the default is %(default)s")
    parser.add_argument("--seconds", type=float, default=15.0, help="for how long; the default is %(default)s")
    parser.add_argument("--engines", nargs="+", choices=sorted(PRODUCTS), default=sorted(PRODUCTS))
    options = parser.parse_args(arguments)
    worst, kept = 0.0, True
    with open_stores() as stores:
        for engine in sorted(set(options.engines) & set(stores)):
            for growth in measure(PRODUCTS[engine], stores[engine], options.messages, options.seconds):
                worst = max(worst, growth.grown)
                kept = kept and growth.waiting >= ENOUGH * options.messages
                sys.stdout.write(f"{stores[engine].title}, {growth}\n")
    sys.stdout.write(", ".join(f"{title} {value}" for title, value in machine.describe().items()) + "\n")
    sys.exit(worst > PROMISED or not kept)


def measure(entry: Entry, store: Store, messages: int, seconds: float) -> list[Growth]:
    """What becomes of a worker that has been busy before, from when the messages begin to come."""
    with store.fresh() as target, remote(sys.executable, entry.program, environment(entry, target)) as step:
        step("create", limit=SETUP_LIMIT)
        step("fill", WARM_UP, limit=SETUP_LIMIT)
        with workers(entry, target, Executables()) as (supervisor,):
            step("drain", WARM_UP, SETUP_LIMIT, limit=SETUP_LIMIT + 10)
            before = {pid: reset_peak(pid) for pid in tree(supervisor.pid)}
            with Process.python("-m", NAPS, str(messages), environment=environment(entry, target)) as sender:
                if sender.wait(timeout=LIMIT):
                    raise RuntimeError(sender.output)
            time.sleep(seconds)
            waiting = step("waiting", limit=SETUP_LIMIT)
            return [Growth(_name(pid), size, peak(pid), waiting) for pid, size in before.items()]


def _name(pid: int) -> str:
    return "a child process" if "child" in command(pid).split() else "the supervisor"


if __name__ == "__main__":
    main(sys.argv[1:])
