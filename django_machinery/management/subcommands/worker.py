"""`manage.py runworker`, and `manage.py machinery worker`, which is the same."""

from __future__ import annotations

import sys
from argparse import BooleanOptionalAction
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from django_machinery import conf
from django_machinery.conf import ServerConfig
from django_machinery.exceptions import StoreError
from django_machinery.management.subcommands.base import add_server, server_of
from django_machinery.management.subcommands.kinds import count, count_or_zero, names, seconds, touchable
from django_machinery.server import Server
from django_machinery.worker import console
from django_machinery.worker.plan import Plan
from django_machinery.worker.reloading import watch_code
from django_machinery.worker.stores import UNAVAILABLE
from django_machinery.worker.supervisor import Supervisor
from django_machinery.worker.terms import queues_of, threads_of

HELP = "Run tasks, in child processes, until SIGTERM or SIGINT: the first lets tasks finish, the second ends them."


def add_arguments(parser: CommandParser) -> None:
    add_server(parser)
    parser.add_argument("--queues", type=names, help="consume these, a,b, the most urgent first (default: QUEUES)")
    parser.add_argument("--concurrency", type=count_or_zero, help="threads a process; 0: as needed, up to MAX_THREADS")
    parser.add_argument("--processes", type=count, default=1, help="child processes (default: %(default)s)")
    parser.add_argument("--tag", default="", help="a name for this worker, shown to operators")
    parser.add_argument("--drain", action="store_true", help="end when nothing is left to run")
    parser.add_argument(
        "--scheduler",
        action=BooleanOptionalAction,
        default=True,
        help="send periodic tasks too, unless draining (default: yes)",
    )
    parser.add_argument("--max-tasks", type=count, help="replace a process after that many tasks")
    parser.add_argument("--shutdown-timeout", type=seconds, help="seconds for running tasks when asked to stop")
    parser.add_argument(
        "--reload",
        action=BooleanOptionalAction,
        default=None,
        help="replace processes when code changes (default: DEBUG)",
    )
    parser.add_argument("--heartbeat-file", type=touchable, help="touch this while all processes consume")


def handle(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Exits with 0 when all tasks could finish, else with 1."""
    command.check(databases=[])
    server = server_of(options)
    _check_tables(command, server.config.database)
    plan = _plan(server, server.config, options)
    _check_stores(server, plan.queues[0])
    supervisor = Supervisor(server, plan, lambda line: console.say(command.stdout, line))
    reload = settings.DEBUG if options["reload"] is None else options["reload"]
    if reload and not plan.drain:
        watch_code(supervisor.reload)
    conf.follow(server.alias, lambda: supervisor.reload(_plan(server, conf.server_config(server.alias), options)))
    try:
        status = supervisor.run()
    except (StoreError, DatabaseError) as error:
        raise CommandError(str(error)) from error
    finally:
        console.flush()
    if status:
        sys.exit(status)


def _plan(server: Server, config: ServerConfig, options: Mapping[str, Any]) -> Plan:
    if server.broker.executes_inline:
        raise CommandError(
            f"The broker of server {server.alias!r} runs tasks as they are sent: there is nothing to do."
        )
    timeout = options["shutdown_timeout"]
    return Plan(
        queues=queues_of(config, options["queues"]),
        processes=options["processes"],
        concurrency=threads_of(config, options["concurrency"]),
        shutdown_timeout=config.shutdown_timeout if timeout is None else timeout,
        tag=options["tag"],
        drain=options["drain"],
        schedules=options["scheduler"] and not options["drain"],
        max_tasks=options["max_tasks"],
        heartbeat_file=options["heartbeat_file"],
        verbosity=options["verbosity"],
        pythonpath=options["pythonpath"],
    )


def _check_stores(server: Server, queue: str) -> None:
    """Ask broker and result backend something: what refuses us now would do so in every process and thread."""
    questions = (
        (server.config.broker, lambda: server.broker.depth(queue)),
        (server.config.result_backend, lambda: server.backend.get_states([queue])),
    )
    for url, ask in questions:
        try:
            ask()
        except UNAVAILABLE:
            pass  # it is waited for
        except StoreError as error:
            raise CommandError(f"{conf.redact(url)} refuses: {error}") from error


def _check_tables(command: BaseCommand, database: str) -> None:
    cure = f"run manage.py migrate --database={database}"
    with suppress(OperationalError):  # a database that is away is waited for
        executor = MigrationExecutor(connections[database])
        if "machinery" not in {app for app, _ in executor.loader.applied_migrations}:
            raise CommandError(f"The database {database!r} has no tables for the task queue: {cure}")
        if executor.migration_plan(executor.loader.graph.leaf_nodes("machinery")):
            console.say(command.stderr, f"The tables of the task queue in {database!r} are not up to date: {cure}")
