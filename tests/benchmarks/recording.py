"""`python -m tests.benchmarks.recording`: what the figures for the admin's charts cost a worker (setting STATS).

Pairs of drains, one with them and one without, in turn; the CPU seconds of the workers are compared within each pair.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import median, quantiles

from tests.benchmarks import machine, rounds
from tests.benchmarks.contenders import ENTRIES, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.rounds import Sizes
from tests.benchmarks.stores import open_stores
from tests.benchmarks.target import STATS

PRODUCTS = {entry.engine: entry for entry in ENTRIES if entry.role is Role.PRODUCT}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recording", description=__doc__)
    parser.add_argument("--pairs", type=int, default=15, help="the default is %(default)s")
    parser.add_argument("--tasks", type=int, default=20_000, help="in each drain; the default is %(default)s")
    parser.add_argument("--engine", choices=sorted(PRODUCTS), default="postgres", help="the default is %(default)s")
    options = parser.parse_args(arguments)
    sizes = replace(Sizes(), tasks=options.tasks, sends=100, round_trips=2)
    entry = PRODUCTS[options.engine]
    ratios = []
    with open_stores() as stores:
        for number in range(options.pairs):
            spent = {}
            for stats in ("1", "0") if number % 2 else ("0", "1"):
                os.environ[STATS] = stats
                spent[stats] = rounds.measure(entry, Executables(), stores[options.engine], sizes)["worker"]
            sys.stdout.write(f"pair {number + 1}: {spent['1'] or 0:.4f} with, {spent['0'] or 0:.4f} without\n")
            if spent["0"] and spent["1"]:
                ratios.append(spent["1"] / spent["0"])
    if len(ratios) < 2:
        raise SystemExit("Too few tasks: the workers' CPU time in them is under the clock's tick")
    low, _, high = quantiles(ratios)
    sys.stdout.write(
        f"CPU seconds with figures, of those without: x {median(ratios):.3f}, "
        f"half of the {len(ratios)} pairs within {low:.3f} and {high:.3f}\n"
    )
    sys.stdout.write(", ".join(f"{title} {value}" for title, value in machine.describe().items()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
