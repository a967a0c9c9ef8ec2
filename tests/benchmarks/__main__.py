"""`python -m tests.benchmarks`: measure side by side, print the table, and name what could not be measured."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import machine, peers, report, rounds
from tests.benchmarks.contenders import ENTRIES, PROCESSES, Role
from tests.benchmarks.rounds import Sizes
from tests.benchmarks.stores import open_stores
from tests.services import Postgres, Redis

QUICK = 10  # times less of everything
ROLES = [role.value for role in Role]
ENGINES = sorted({entry.engine for entry in ENTRIES})


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    sizes = Sizes(tasks=options.tasks).divided(QUICK if options.quick else 1)
    context = {"command": f"python -m tests.benchmarks {' '.join(arguments)}".strip()}
    context["measured"] = f"medians of {options.rounds} rounds; {PROCESSES} worker processes; {sizes.describe()}"
    context |= machine.describe()
    pythons = {role: sys.executable for role in Role if role.value in options.roles}
    with open_stores() as stores:
        if Role.PEER in pythons:
            context |= prepare_peers(pythons, options.peers)
        if reason := Postgres.missing():
            context["NOT MEASURED: PostgreSQL"] = reason
        if reason := Redis.missing():
            context["NOT MEASURED: Redis"] = reason
        wanted = [entry for entry in ENTRIES if entry.role in pythons and entry.engine in options.engines]
        entries = [entry for entry in wanted if entry.engine in stores]
        measured = rounds.run(entries, pythons, stores, sizes, options.rounds)
    sys.stdout.write("\n".join([*report.as_text(entries, measured, context), ""]))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(entries, measured, context), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--tasks", type=int, default=Sizes().tasks, help="to drain; the default is %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"a {QUICK}th of everything: to see that it works")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=ROLES)
    parser.add_argument("--peers", type=Path, default=peers.DIRECTORY, help="their virtual environment, made if absent")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round there too")
    return parser


def prepare_peers(pythons: dict[Role, str], directory: Path) -> dict[str, str]:
    """Find the peers' interpreter; without it they are not measured, and the report says so."""
    try:
        pythons[Role.PEER] = peers.interpreter(directory)
        return {"peers": peers.describe(pythons[Role.PEER])}
    except peers.PeersUnavailable as error:
        del pythons[Role.PEER]
        return {"NOT MEASURED: peers": str(error)}


if __name__ == "__main__":
    main(sys.argv[1:])
