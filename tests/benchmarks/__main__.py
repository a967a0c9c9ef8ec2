"""`python -m tests.benchmarks`: measure side by side, print the tables, and name what could not be measured.

Exits with 1 when a round of a contender failed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import executables, machine, peers, report, rounds
from tests.benchmarks.contenders import ENTRIES, PROCESSES, Entry, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.rounds import Sizes
from tests.benchmarks.stores import open_stores
from tests.services import Postgres, Redis, scratch_directory

QUICK = 10  # times less of everything
ROLES = [role.value for role in Role]
ENGINES = sorted({entry.engine for entry in ENTRIES})


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    sizes = Sizes(tasks=options.tasks).divided(QUICK if options.quick else 1)
    context = {"command": f"python -m tests.benchmarks {_repeatable(options)}"}
    context["measured"] = f"medians of {options.rounds} rounds; {PROCESSES} worker processes; {sizes.describe()}"
    context |= machine.describe()
    with open_stores() as stores, scratch_directory() as scratch:
        wanted = [entry for entry in ENTRIES if entry.role.value in options.roles and entry.engine in options.engines]
        possible = [entry for entry in wanted if entry.engine in stores]
        found, missing = executables.prepare(possible, options.peers, scratch)
        entries = [entry for entry in possible if entry.key in found]
        context |= _versions(entries, found) | _not_measured(missing)
        measured = rounds.run(entries, found, stores, sizes, options.rounds)
    context["load after"] = machine.load()
    text = "\n".join([*report.as_text(entries, measured, context), ""]).lstrip()
    sys.stdout.write(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(report.as_json(entries, measured, context), indent=1) + "\n")
    sys.exit(any(each.failures for each in measured.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--tasks", type=int, default=Sizes().tasks, help="to drain; the default is %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"a {QUICK}th of everything: to see that it works")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=ROLES)
    parser.add_argument("--peers", type=Path, default=peers.DIRECTORY, help="their environments, made if absent")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write what is printed there too, as for the docs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round there too")
    return parser


def _repeatable(options: argparse.Namespace) -> str:
    """The arguments that decide what is measured: where files are is nobody's business."""
    quick = " --quick" if options.quick else ""
    chosen = [f"--{name} {' '.join(given)}" for name, given, every in _choices(options) if given != every]
    return " ".join([f"--rounds {options.rounds} --tasks {options.tasks}{quick}", *chosen])


def _choices(options: argparse.Namespace) -> list[tuple[str, list[str], list[str]]]:
    return [("engines", options.engines, ENGINES), ("roles", options.roles, ROLES)]


def _versions(entries: Sequence[Entry], found: dict[str, Executables]) -> dict[str, str]:
    return {entry.name: found[entry.key].version for entry in entries if found[entry.key].version}


def _not_measured(missing: dict[str, str]) -> dict[str, str]:
    servers = {"PostgreSQL": Postgres.missing(), "Redis": Redis.missing()}
    reasons = {**{title: reason for title, reason in servers.items() if reason}, **missing}
    return {f"NOT MEASURED: {name}": reason for name, reason in reasons.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
