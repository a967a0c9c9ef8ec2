"""A broker whose server pushes: `push://name`, in the memory of one process.

As on RabbitMQ, a consumer opens a window and the server fills it; what a connection holds when it dies is delivered
again; there are no delays, no priorities and nothing can be listed. Brokers of one name share a server.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from django_machinery.conf import parse_url
from django_machinery.exceptions import MessageTooLarge
from django_machinery.protocol.codec import encode_signature
from django_machinery.seams.broker import Broker, Consumer, Delivery, Lease
from django_machinery.seams.consumer import QueueOrder

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.signature import Signature


@dataclass(slots=True, order=True)
class Message:
    """A message on the server, ordered by age."""

    age: int
    body: bytes
    queue: str
    name: str = ""
    claims: int = 0
    crashes: int = 0
    suspect: bool = False
    parked: bool = False


class Server:
    """Queues, and the consumers that it pushes to in turn. Its lock guards the consumers' state too."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._queues: defaultdict[str, list[Message]] = defaultdict(list)
        self._consumers: deque[PushConsumer] = deque()
        self._ages = itertools.count(1)

    @classmethod
    def named(cls, name: str) -> Server:
        with _SERVERS_LOCK:
            return _SERVERS.setdefault(name, cls())

    def publish(self, messages: Iterable[tuple[bytes, str, str]]) -> None:
        with self.lock:
            for body, queue, name in messages:
                self._queues[queue].append(Message(next(self._ages), body, queue, name))
            self.push()

    def connect(self, consumer: PushConsumer) -> None:
        """Call it with the lock. A consumer that is connected stays so."""
        if consumer not in self._consumers:
            self._consumers.append(consumer)

    def disconnect(self, consumer: PushConsumer, messages: Iterable[Message]) -> None:
        """Call it with the lock."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
        self.requeue(messages)

    def requeue(self, messages: Iterable[Message]) -> None:
        """Put messages back at their old places. Call it with the lock."""
        for message in messages:
            insort(self._queues[message.queue], message)
        self.push()

    def push(self) -> None:
        """Fill the windows of all consumers, a message each in turn. Call it with the lock."""
        pushed = True
        while pushed:
            pushed = sum(map(self._push_one, self._consumers)) > 0
            self._consumers.rotate()

    def _push_one(self, consumer: PushConsumer) -> bool:
        if consumer.window <= 0:
            return False
        for queue in consumer.order.next():
            for message in self._queues[queue]:
                if not message.parked or message.name in consumer.names:
                    self._queues[queue].remove(message)
                    consumer.receive(message)
                    return True
        return False

    def drop_connections(self) -> None:
        for consumer in list(self._consumers):
            consumer.cut()

    def depth(self, queue: str) -> int:
        with self.lock:
            return len(self._queues[queue])

    def purge(self, queue: str) -> int:
        with self.lock:
            return len(self._queues.pop(queue, ()))


_SERVERS: dict[str, Server] = {}
_SERVERS_LOCK = threading.Lock()


class PushConsumer(Consumer):
    """A connection with a window: how many more messages the server may push."""

    def __init__(self, server: Server, order: QueueOrder, names: Collection[str], token: str) -> None:
        self.order = order
        self.names = names
        self.window = 0
        self._server = server
        self._token = token
        self._tags = itertools.count(1)
        self._buffer: deque[Delivery] = deque()
        self._unsettled: dict[int, Message] = {}
        # Its put() may interrupt a get() of the same thread, as a signal handler does; that of Event may not.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._closed = False

    def receive(self, message: Message) -> None:
        """The server pushes a message, with its lock held."""
        message.claims += 1
        tag = next(self._tags)
        self._unsettled[tag] = message
        self._buffer.append(
            Delivery(message.body, message.queue, tag, self._token, message.claims, message.crashes, message.suspect)
        )
        self.window -= 1
        self._bell.put(None)

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        with self._server.lock:
            if self._closed:
                return []
            self._server.connect(self)
            self.window = limit - len(self._buffer)
            self._server.push()
            taken = [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]
        for delivery in taken:
            delivery.claimed_at = time.monotonic()
        return taken

    def wait(self, timeout: float) -> None:
        if not self._buffer:
            with suppress(Empty):
                self._bell.get(timeout=timeout)
        while not self._bell.empty():
            self._bell.get()

    def wake(self) -> None:
        self._bell.put(None)

    def pause(self, queues: Collection[str]) -> None:
        """The subscription ends, and what was pushed but not fetched goes back."""
        with self._server.lock:
            self.order.pause(queues)
            back = [delivery for delivery in self._buffer if delivery.queue in queues]
            self._buffer = deque(delivery for delivery in self._buffer if delivery.queue not in queues)
            self._server.requeue([_uncount(self._unsettled.pop(delivery.handle)) for delivery in back])

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        with self._server.lock:
            return [self._unsettled.pop(delivery.handle, None) is not None for delivery in deliveries]

    def release(self, deliveries: Sequence[Delivery]) -> None:
        self._give_back(deliveries, _uncount)

    def park(self, deliveries: Sequence[Delivery]) -> None:
        self._give_back(deliveries, _park)

    def holds(self, deliveries: Sequence[Delivery]) -> list[bool]:
        with self._server.lock:
            return [delivery.handle in self._unsettled for delivery in deliveries]

    def close(self) -> None:
        with self._server.lock:
            self._closed = True
            self._server.disconnect(self, map(_uncount, self._forget_all()))

    def cut(self) -> None:
        """The connection dies: the server delivers again what was not settled. The next fetch makes a new connection.

        A suspect that was alone on the connection is blamed.
        """
        with self._server.lock:
            lost = self._forget_all()
            alone = len(lost) == 1
            for message in lost:
                message.crashes += message.suspect and alone
                message.suspect = True
            self._server.disconnect(self, lost)

    def _give_back(self, deliveries: Sequence[Delivery], change: Callable[[Message], Message]) -> None:
        with self._server.lock:
            held = [self._unsettled.pop(delivery.handle, None) for delivery in deliveries]
            self._server.requeue([change(message) for message in held if message is not None])

    def _forget_all(self) -> list[Message]:
        lost = list(self._unsettled.values())
        self._unsettled.clear()
        self._buffer.clear()
        self.window = 0
        return lost


class PushBroker(Broker):
    lease = Lease.CONNECTION
    max_body = 128 * 1024

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self._server = Server.named(parse_url(url)[1])

    def publish(self, signatures: Sequence[Signature]) -> None:
        encoded = [
            (encode_signature(signature, self.config.limits), signature.queue, signature.name)
            for signature in signatures
        ]
        if any(len(body) > self.max_body for body, _, _ in encoded):
            raise MessageTooLarge(f"a message is larger than {self.max_body} bytes")
        self._server.publish(encoded)

    def publish_bytes(self, queue: str, body: bytes) -> None:
        """What a program that is not ours may do."""
        self._server.publish([(body, queue, "")])

    def drop_connections(self) -> None:
        """What a restart of the server does, or a network that fails."""
        self._server.drop_connections()

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> PushConsumer:
        return PushConsumer(self._server, QueueOrder(queues, self.config.queue_weights), names, token)

    def depth(self, queue: str) -> int:
        return self._server.depth(queue)

    def purge(self, queue: str) -> int:
        return self._server.purge(queue)


def _uncount(message: Message) -> Message:
    message.claims -= 1
    return message


def _park(message: Message) -> Message:
    message.parked = True
    return _uncount(message)
