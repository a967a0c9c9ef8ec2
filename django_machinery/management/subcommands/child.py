"""`manage.py machinery child`: what a supervisor starts. Of no use by itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from django_machinery import conf, log
from django_machinery.management.subcommands.base import add_server, server_of
from django_machinery.management.subcommands.kinds import count, count_or_zero, names, seconds
from django_machinery.worker import console
from django_machinery.worker.child import Child, Lifeline
from django_machinery.worker.fetcher import Suspects
from django_machinery.worker.pipes import ExitStatus
from django_machinery.worker.terms import Terms

HELP = ""


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("--token", required=True)
    parser.add_argument("--queues", type=names, required=True)
    parser.add_argument("--concurrency", type=count_or_zero, required=True)
    parser.add_argument("--shutdown-timeout", type=seconds, required=True)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--reports", type=int, required=True)
    parser.add_argument("--tag", default="")
    parser.add_argument("--max-tasks", type=count)
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--alone", action="store_true")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Ends the process at once, without returning, when tasks may still run in it."""
    conf.inherited()  # taken out of the environment even where the project's settings did not ask
    if settings.DEBUG or options["verbosity"] > 1:
        log.print_tasks(sys.stdout)
    terms = Terms(
        options["token"],
        options["queues"],
        options["concurrency"],
        options["tag"],
        suspects=Suspects.ONLY if options["alone"] else Suspects.LEAVE,
        max_tasks=options["max_tasks"],
    )
    child = Child(server_of(options), terms, Lifeline(options["orders"], options["reports"]))
    status = child.run(drain=options["drain"], shutdown_timeout=options["shutdown_timeout"])
    if status is ExitStatus.DONE:
        console.flush()
    else:
        _end_at_once(status)


def _end_at_once(status: ExitStatus) -> None:
    logging.shutdown()
    console.flush()
    os._exit(status)
