"""`servers["alias"]`: the servers of a process, built from the settings when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from django.core.signals import setting_changed

from django_machinery import conf, registry
from django_machinery.results import AsyncResult, Lookup
from django_machinery.scheduler import manual
from django_machinery.server import Server


class ServerHandler:
    """The servers of this process, one per settings alias, shared by its threads."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    def __getitem__(self, alias: str) -> Server:
        """The server of that alias. Raises `ConfigurationError` where its settings cannot be used."""
        try:
            return self._servers[alias]
        except KeyError:
            with self._lock:
                if alias not in self._servers:
                    self._servers[alias] = _build(alias)
                return self._servers[alias]

    def __iter__(self) -> Iterator[str]:
        """The aliases in the settings."""
        return iter(conf.aliases())

    def close_all(self) -> None:
        """Free the connections of all servers and forget them: the next use builds them anew."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close()


def _build(alias: str) -> Server:
    from django_machinery.models import DeadLetter, Message  # not before the apps are loaded

    config = conf.server_config(alias)
    broker = conf.load_driver("broker", config)(config.broker, config)
    backend = conf.load_driver("backend", config)(config.result_backend, config)
    lock = conf.load_driver("lock", config)(config.lock, config)
    outbox = Message.objects.db_manager(config.database)
    dead_letters = DeadLetter.objects.db_manager(config.database)
    server = Server(config, broker, backend, lock, outbox, dead_letters)
    if broker.executes_inline:
        _run_inline(server)
    return server


def _run_inline(server: Server) -> None:
    """Let a broker that executes inline run what is published, as a worker would."""
    from django_machinery.worker.inline import InlineRunner
    from django_machinery.worker.terms import worker_name

    consumer = server.broker.consumer((server.config.default_queue,), server.registry.names, "inline")
    server.broker.execute = InlineRunner(server, consumer, worker_name("inline")).run  # type: ignore[attr-defined]


def _lookup_of(alias: str) -> Lookup:
    return servers[alias].lookup


def _registry_of(alias: str) -> registry.Registry:
    return servers[alias].registry


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "MACHINERY":
        servers.close_all()


servers = ServerHandler()
AsyncResult.resolve = staticmethod(_lookup_of)
manual.resolve = servers.__getitem__
registry.of_server = _registry_of
setting_changed.connect(_forget)
