"""A broker that is polled and leases each message by time: `leasing:///path/to/file`, shared by processes.

As on SQS, a message that is received becomes invisible for the lease and is received again unless it was deleted with
its newest receipt; ten at most come at once; nothing is delayed, ordered by priority or listed; and a message may be
delivered twice for no reason: with `?duplicates=3` every third one is.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from django_machinery.exceptions import BrokerUnavailable, MessageTooLarge
from django_machinery.protocol.codec import encode_signature
from django_machinery.seams.broker import Broker, Consumer, Delivery, Lease
from django_machinery.seams.consumer import QueueOrder

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature

BATCH = 10
POLL = 0.05
"""Seconds between two looks."""
PARKED = 1.0
"""Seconds for which a message that its receiver does not know is invisible."""

SCHEMA = """
    CREATE TABLE IF NOT EXISTS message (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT, body BLOB, visible_at REAL DEFAULT 0, receipt TEXT,
        receives INTEGER DEFAULT 0, suspect INTEGER DEFAULT 0, crashes INTEGER DEFAULT 0
    )
"""
# A receipt that is still there when the message is received again belongs to a lease that ran out.
RECEIVE = """
    UPDATE message SET receipt = :token || hex(randomblob(8)), visible_at = :now + :lease, receives = receives + 1,
        crashes = crashes + (suspect AND receipt IS NOT NULL), suspect = suspect OR receipt IS NOT NULL
    WHERE id IN (SELECT id FROM message WHERE queue = :queue AND visible_at <= :now ORDER BY id LIMIT :limit)
    RETURNING id, body, receipt, receives, crashes, suspect
"""


class File:
    """The SQLite file, with one connection for all threads of the process. Raises BrokerUnavailable."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._connect()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise BrokerUnavailable(str(error)) from error

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=20, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(SCHEMA)
            self._connection = connection
        return self._connection


class LeasingConsumer(Consumer):
    def __init__(self, file: File, order: QueueOrder, token: str, lease: float) -> None:
        self._file = file
        self._order = order
        self._token = token
        self._lease = lease
        self._held: dict[str, Delivery] = {}
        self._bell: SimpleQueue[None] = SimpleQueue()

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        found: list[Delivery] = []
        with self._file.transaction() as connection:
            for queue in self._order.next():
                found += self._receive(connection, queue, min(limit, BATCH) - len(found))
        self._held.update({delivery.handle[1]: delivery for delivery in found})
        return found

    def wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._visible() and (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                self._bell.get(timeout=min(left, POLL))
                break
        while not self._bell.empty():
            self._bell.get()

    def wake(self) -> None:
        self._bell.put(None)

    def pause(self, queues: Collection[str]) -> None:
        self._order.pause(queues)

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        self._forget(deliveries)
        with self._file.transaction() as connection:
            statement = "DELETE FROM message WHERE id = ? AND receipt = ?"
            return [connection.execute(statement, delivery.handle).rowcount == 1 for delivery in deliveries]

    def release(self, deliveries: Sequence[Delivery]) -> None:
        self._show_again(deliveries, 0)

    def park(self, deliveries: Sequence[Delivery]) -> None:
        self._show_again(deliveries, PARKED)

    def renew(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        statement = "UPDATE message SET visible_at = ? WHERE id = ? AND receipt = ?"
        until = time.time() + self._lease
        with self._file.transaction() as connection:
            return [
                delivery
                for delivery in deliveries
                if not connection.execute(statement, (until, *delivery.handle)).rowcount
            ]

    def close(self) -> None:
        held = list(self._held.values())
        if held:
            self.release(held)

    def _receive(self, connection: sqlite3.Connection, queue: str, limit: int) -> list[Delivery]:
        values = {"token": self._token, "now": time.time(), "lease": self._lease, "queue": queue, "limit": limit}
        return [
            Delivery(
                body, queue, (id_, receipt), self._token, receives, crashes, bool(suspect), claimed_at=time.monotonic()
            )
            for id_, body, receipt, receives, crashes, suspect in sorted(connection.execute(RECEIVE, values))
        ]

    def _visible(self) -> bool:
        marks = ", ".join("?" * len(self._order.open))
        statement = f"SELECT 1 FROM message WHERE queue IN ({marks}) AND visible_at <= ? LIMIT 1"
        with self._file.transaction() as connection:
            return connection.execute(statement, (*self._order.open, time.time())).fetchone() is not None

    def _show_again(self, deliveries: Sequence[Delivery], delay: float) -> None:
        self._forget(deliveries)
        statement = "UPDATE message SET visible_at = ?, receipt = NULL WHERE id = ? AND receipt = ?"
        with self._file.transaction() as connection:
            connection.executemany(statement, [(time.time() + delay, *delivery.handle) for delivery in deliveries])

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._held.pop(delivery.handle[1], None)


class LeasingBroker(Broker):
    lease = Lease.MESSAGE
    max_body = 256 * 1024

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        parts = urlsplit(url)
        self._file = File(parts.path)
        self._duplicates = int(parse_qs(parts.query).get("duplicates", ["0"])[0])

    def publish(self, signatures: Sequence[Signature]) -> None:
        encoded = [(signature.queue, encode_signature(signature, self.config.limits)) for signature in signatures]
        if any(len(body) > self.max_body for _, body in encoded):
            raise MessageTooLarge(f"a message is larger than {self.max_body} bytes")
        with self._file.transaction() as connection:
            for row in encoded:
                self._insert(connection, row)

    def publish_bytes(self, queue: str, body: bytes) -> None:
        """What a program that is not ours may do."""
        with self._file.transaction() as connection:
            self._insert(connection, (queue, body))

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> LeasingConsumer:
        order = QueueOrder(queues, self.config.queue_weights)
        return LeasingConsumer(self._file, order, token or secrets.token_hex(4), self.config.lease)

    def depth(self, queue: str) -> int:
        with self._file.transaction() as connection:
            statement = "SELECT COUNT(*) FROM message WHERE queue = ? AND visible_at <= ?"
            return int(connection.execute(statement, (queue, time.time())).fetchone()[0])

    def purge(self, queue: str) -> int:
        with self._file.transaction() as connection:
            statement = "DELETE FROM message WHERE queue = ? AND visible_at <= ?"
            return connection.execute(statement, (queue, time.time())).rowcount

    def close(self) -> None:
        self._file.close()

    def _insert(self, connection: sqlite3.Connection, row: tuple[str, bytes]) -> None:
        statement = "INSERT INTO message (queue, body) VALUES (?, ?)"
        number = connection.execute(statement, row).lastrowid or 0
        if self._duplicates and number % self._duplicates == 0:
            connection.execute(statement, row)
