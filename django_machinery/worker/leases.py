"""Messages that each have a lease of their own, on brokers that have no other."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from threading import Event, Thread
from typing import TYPE_CHECKING

from django_machinery.exceptions import BrokerError
from django_machinery.worker.connections import close_broken

if TYPE_CHECKING:
    from django_machinery.seams.broker import Consumer, Delivery

logger = logging.getLogger("django_machinery.workers")


class MessageLeases:
    """A thread that prolongs the leases of what this process holds, three times before they run out."""

    def __init__(self, consumer: Consumer, lease: float) -> None:
        self._consumer = consumer
        self._period = lease * 0.3
        self._held: dict[int, Delivery] = {}
        self._stopped = Event()
        self._thread = Thread(target=self._serve, name="machinery-leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def claimed(self, deliveries: Iterable[Delivery]) -> None:
        """These are held from now on."""
        for delivery in deliveries:
            self._held[id(delivery)] = delivery

    def ended(self, deliveries: Iterable[Delivery]) -> None:
        """These are held no longer."""
        for delivery in deliveries:
            self._held.pop(id(delivery), None)

    def _serve(self) -> None:
        while not self._stopped.wait(self._period):
            held = list(self._held.values())
            if not held:
                continue
            try:
                # What was lost will be refused when it is settled.
                self.ended(self._consumer.renew(held))
            except BrokerError:
                close_broken()
            except Exception:
                logger.exception("The leases of messages could not be prolonged")
