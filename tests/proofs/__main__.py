"""`python -m tests.proofs <proof>`: print its ledger and what it was measured on; exits 1 if a promise is broken."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import django

PROOFS = {
    "storm": "tests.acceptance.storm",
    "redis-storm": "tests.proofs.redis_storm",
    "redis-failover": "tests.proofs.redis_failover",
    "bad-input": "tests.proofs.bad_input",
    "bad-messages": "tests.proofs.bad_messages",
    "groups": "tests.proofs.groups",
    "rescue": "tests.proofs.rescue",
    "frozen": "tests.proofs.frozen",
    "climbers": "tests.proofs.climbers",
    "poison": "tests.proofs.poison",
    "stranding": "tests.proofs.stranding",
    "senders": "tests.proofs.senders",
    "ticks": "tests.proofs.ticks",
    "missed": "tests.proofs.missed",
    "go-schedules": "tests.proofs.go_schedules",
    "cron-golden": "tests.proofs.cron_golden",
    "cron-brute": "tests.proofs.cron_brute",
    "cron-fuzz": "tests.proofs.cron_fuzz",
    "dst": "tests.proofs.dst",
}


def main(arguments: Sequence[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.benchmarks import machine  # needs the settings

    options = _parser().parse_args(arguments)
    facts = {"command": f"python -m tests.proofs {' '.join(arguments)}", **machine.describe()}
    ledger = import_module(PROOFS[options.proof]).run(options)
    width = max(map(len, facts))
    lines = [f"  {name:<{width}}  {value}" for name, value in facts.items()]
    sys.stdout.write("\n".join([*lines, str(ledger), ""]))
    return 1 if ledger.broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    subparsers = parser.add_subparsers(dest="proof", required=True, metavar="proof")
    for name, path in PROOFS.items():
        module = import_module(path)
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        subparser.add_argument("--seed", type=int, default=1, help="default %(default)s")
        subparser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite", help="default %(default)s")
        module.add_arguments(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
