"""What `manage.py check` says about the task queue (tag "machinery"). docs/reference/checks.md explains every id.

Drivers add what only they know: `check()` of broker, result backend and lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning
from django.core.management import find_commands
from django.db import DatabaseError, connections

from django_machinery import conf, registry
from django_machinery.conf import Fault, ServerConfig
from django_machinery.exceptions import ConfigurationError
from django_machinery.handler import servers
from django_machinery.protocol.parameters import written_annotations
from django_machinery.registry import TaskDefinition
from django_machinery.server import Server

TAG = "machinery"

_SETTINGS_IDS = {
    Fault.SHAPE: "machinery.E001",
    Fault.NO_DEFAULT: "machinery.E002",
    Fault.UNKNOWN_KEY: "machinery.E003",
    Fault.WRONG_VALUE: "machinery.E004",
    Fault.BAD_URL: "machinery.E005",
}


def register_checks() -> None:
    """Make all of them part of `manage.py check`."""
    for check in (check_settings, check_servers, check_tasks, check_commands):
        checks.register(check, TAG)
    checks.register(check_databases, checks.Tags.database)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Keys and values of MACHINERY, and names in files."""
    found: list[CheckMessage] = [Error(p.text, hint=p.hint or None, id=_SETTINGS_IDS[p.fault]) for p in conf.problems()]
    return found + [Warning(p.text, hint=p.hint or None, id="machinery.W004") for p in conf.unknown_names()]


def check_servers(**_: Any) -> list[CheckMessage]:
    """Each server's drivers and databases and, where these are right, what the drivers themselves say."""
    found: list[CheckMessage] = []
    for config in _readable():
        wrong = [*_driver_errors(config), *_database_errors(config)]
        found += wrong or _store_messages(config)
    return _distinct(found)


def check_tasks(**_: Any) -> list[CheckMessage]:
    """The tasks that `@task` declares."""
    aliases = _aliases()
    found: list[CheckMessage] = [_clash(*clash) for clash in registry.tasks.clashes]
    for name, error in registry.tasks.unreadable.items():
        found.append(Error(f"The schedule {name!r} cannot be read: {error}", id="machinery.E015"))
    for definition in registry.tasks.definitions:
        found += [*_server_errors(definition, aliases), *_task_messages(definition)]
    return found


def check_commands(**_: Any) -> list[CheckMessage]:
    """Another app with a command `runworker`: Django runs that of the app that INSTALLED_APPS lists first."""
    offering = [config for config in apps.get_app_configs() if _offers_runworker(config.path)]
    others = [config.name for config in offering if config.label != "machinery"]
    if not others:
        return []
    text = f"`manage.py runworker` is offered by {', '.join(others)} too; it runs that of {offering[0].name}."
    hint = "`manage.py machinery worker` is always the worker of django_machinery."
    return [Warning(text, hint=hint, id="machinery.W001")]


def check_databases(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Can the engines behind DATABASE do what the queue's statements need? Connects: `manage.py check --database`."""
    used = {config.database for config in _readable()}
    return [message for alias in sorted(used & set(databases or ())) for message in _engine_errors(alias)]


def _aliases() -> list[str]:
    """Those of all servers, whatever is wrong with their settings; none where nobody can tell."""
    try:
        return conf.aliases()
    except ConfigurationError:
        return []


def _readable() -> Iterator[ServerConfig]:
    for alias in _aliases():
        try:
            yield conf.server_config(alias)
        except ConfigurationError:
            continue


def _driver_errors(config: ServerConfig) -> Iterator[CheckMessage]:
    for kind, attribute in conf.KINDS.items():
        where = f"MACHINERY[{config.alias!r}][{attribute.upper()!r}]"
        scheme, _ = conf.parse_url(getattr(config, attribute))
        try:
            conf.driver_path(scheme, kind, config)
        except ConfigurationError as error:
            yield Error(f"{where}: {error}", id="machinery.E006")
            continue
        try:
            conf.load_driver(kind, config)
        except ConfigurationError as error:
            yield Error(str(error), id="machinery.E007")


def _database_errors(config: ServerConfig) -> Iterator[CheckMessage]:
    alias = config.database
    if alias not in connections.settings:
        shown = conf.redact(alias)  # it may be a URL in the wrong place
        text = f"MACHINERY[{config.alias!r}]['DATABASE'] names the database {shown!r}, which DATABASES does not have."
        yield Error(text, hint=conf.nearest(alias, sorted(connections.settings)), id="machinery.E008")


def _store_messages(config: ServerConfig) -> list[CheckMessage]:
    try:
        server = servers[config.alias]
        found = [*server.broker.check(), *server.backend.check(), *server.lock.check()]
    except Exception as error:
        text = f"The server {config.alias!r} cannot be built: {type(error).__name__}: {conf.redact(str(error))}"
        return [Error(text, id="machinery.E009")]
    return found if any(message.is_serious() for message in found) else [*found, *_atomic_warnings(server)]


def _atomic_warnings(server: Server) -> Iterator[CheckMessage]:
    atomic = [task for task in registry.tasks.definitions if task.atomic and task.server == server.alias]
    for task in [] if server.supports_atomic else atomic:
        text = f"The task {task.name!r} ({task.path}) is atomic, which the server {server.alias!r} cannot keep."
        hint = "Give the task a server whose broker and result backend are one database, or take atomic=True away."
        yield Warning(text, hint=hint, id="machinery.W003")


def _distinct(messages: Iterable[CheckMessage]) -> list[CheckMessage]:
    """Each message once: broker, backend and lock of one database say the same about it. (They have no hash.)"""
    found: list[CheckMessage] = []
    for message in messages:
        if message not in found:
            found.append(message)
    return found


def _engine_errors(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    sqlite = connection.vendor == "sqlite"
    try:
        features = connection.features
        able = features.can_return_columns_from_insert if sqlite else features.has_select_for_update_skip_locked
    except DatabaseError as error:
        yield Error(f"The database {alias!r} cannot be asked: {conf.redact(str(error))}", id="machinery.E013")
        return
    if not able:
        text = f"{connection.display_name} behind the database {alias!r} is too old: it lacks "
        text += "UPDATE ... RETURNING." if sqlite else "FOR UPDATE SKIP LOCKED."
        yield Error(text, hint="SQLite 3.35, MySQL 8.0 and MariaDB 10.6 are new enough.", id="machinery.E014")


def _clash(name: str, present: str, refused: str) -> CheckMessage:
    text = f"Two tasks are called {name!r}: {present} and {refused}."
    return Error(text, hint="Give one of them another name=, or drop the alias.", id="machinery.E010")


def _server_errors(definition: TaskDefinition, aliases: list[str]) -> Iterator[CheckMessage]:
    if aliases and definition.server not in aliases:
        text = f"{_about(definition)} belongs to the server {definition.server!r}, which MACHINERY does not have."
        yield Error(text, hint=conf.nearest(definition.server, aliases), id="machinery.E011")


def _task_messages(definition: TaskDefinition) -> Iterator[CheckMessage]:
    about = _about(definition)
    for name in definition.sensitive:
        if name not in definition.parameters.names:
            text = f"{about} has no parameter {name!r}, which sensitive= names."
            yield Error(text, hint=conf.nearest(name, list(definition.parameters.names)), id="machinery.E012")
    for name in _unresolved(definition):
        text = (
            f"{about} has an annotation of {name!r} that means nothing at run time: its values are passed unconverted."
        )
        yield Warning(text, hint="Import what it names outside of `if TYPE_CHECKING:`.", id="machinery.W002")


def _about(definition: TaskDefinition) -> str:
    return f"The task {definition.name!r} ({definition.path})"


def _unresolved(definition: TaskDefinition) -> list[str]:
    """The parameters whose annotation cannot be evaluated, which makes them `Any`."""
    written = written_annotations(definition.func)
    known = definition.parameters.annotations
    return [name for name in known if known[name] is Any and not _says_any(written.get(name, Any))]


def _says_any(annotation: object) -> bool:
    return annotation is Any or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "Any")


def _offers_runworker(app_directory: str) -> bool:
    return "runworker" in find_commands(str(Path(app_directory) / "management"))
