"""Waiting for a store that went away, without flooding the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from django.db import InterfaceError, OperationalError

from django_machinery import signals
from django_machinery.conf import redact
from django_machinery.exceptions import (
    BackendError,
    BackendUnavailable,
    BrokerError,
    BrokerUnavailable,
    LockError,
    LockUnavailable,
)
from django_machinery.server import Server
from django_machinery.worker.connections import close_broken

if TYPE_CHECKING:
    from django.dispatch import Signal

    from django_machinery.conf import ServerConfig

T = TypeVar("T")

FIRST_DELAY = 0.05
LONGEST_DELAY = 1.0
"""Seconds between two attempts; less where the lease is short, so that a process is back before it runs out."""
TELL_AGAIN = 30.0
"""Seconds for which a store that stays away is not spoken of again."""

UNAVAILABLE = (BrokerUnavailable, BackendUnavailable, LockUnavailable, OperationalError, InterfaceError)
"""What is worth trying again. Django's own errors come from the project's database, outside of the drivers."""


class Aborted(Exception):
    """The worker ends without waiting for the store any longer."""


class Outage(NamedTuple):
    """A store that did not answer."""

    store: str
    delay: float
    """Seconds to wait before the next attempt."""


class Stores:
    """The stores of one server, as a worker process sees them. Shared by its threads."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._longest = min(LONGEST_DELAY, config.lease * 0.3)
        self._told: dict[str, float] = {}
        self._aborted = threading.Event()

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns, as soon as the stores that it needs are there. Raises `Aborted` after `abort`."""
        outage: Outage | None = None
        while True:
            try:
                result = function()
            except UNAVAILABLE as error:
                outage = self.lost(error, outage)
                if self._aborted.wait(outage.delay):
                    raise Aborted from error
            else:
                if outage is not None:
                    self.works(outage)
                return result

    def lost(self, error: Exception, before: Outage | None = None) -> Outage:
        """A store did not answer; `before` is what this returned for the attempt before."""
        close_broken()
        delay = min(before.delay * 2 if before is not None else FIRST_DELAY, self._longest)
        store = self._name(error)
        if monotonic() - self._told.get(store, -TELL_AGAIN) >= TELL_AGAIN:
            self._told[store] = monotonic()
            self._send(signals.store_unavailable, store=store, error=str(error), retry_in=delay)
        return Outage(store, delay)

    def works(self, outage: Outage) -> None:
        """The store answers again."""
        if self._told.pop(outage.store, None) is not None:
            self._send(signals.store_recovered, store=outage.store)

    def abort(self) -> None:
        """Let nobody wait any longer, now or later."""
        self._aborted.set()

    def _name(self, error: Exception) -> str:
        if isinstance(error, BrokerError):
            return redact(self._config.broker)
        if isinstance(error, LockError):
            return redact(self._config.lock)
        return redact(self._config.result_backend) if isinstance(error, BackendError) else self._config.database

    def _send(self, signal: Signal, **arguments: object) -> None:
        signal.send_robust(Server, server=self._config.alias, **arguments)
