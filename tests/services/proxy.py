"""A TCP proxy on the loopback interface that does to connections what networks do."""

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Self

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""
_CHUNK = 65536


class Proxy:
    """Passes bytes on to `upstream` and back, in a thread of its own, until a test makes a fault.

    Faults hold for all connections, old and new, until `heal`.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._partner: dict[socket.socket, socket.socket] = {}
        self._from_upstream: set[socket.socket] = set()
        self._black = False
        self._refusing = False
        self._budget: int | None = None
        self._ending = False
        self._lock = threading.RLock()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        self._thread.start()
        try:
            yield self
        finally:
            self._ending = True
            self._thread.join(10)
            self.cut()
            self._listener.close()
            self._selector.close()

    def cut(self) -> int:
        """Reset every connection; returns how many there were."""
        with self._lock:
            pairs = len(self._partner) // 2
            for end in list(self._partner):
                self._reset(end)
            return pairs

    def blackhole(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        with self._lock:
            self._black = True

    def forget(self) -> int:
        """Pass nothing on over the connections that there are, and tell nobody; new ones work. How many there were."""
        with self._lock:
            for end in self._partner:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(end)
            return len(self._partner) // 2

    def refuse(self) -> None:
        """Reset every connection, and every new one."""
        with self._lock:
            self._refusing = True
        self.cut()

    def break_replies_after(self, count: int) -> None:
        """Reset a connection in the middle of a reply, when that many more bytes have come back over any of them."""
        with self._lock:
            self._budget = count

    def heal(self, *, forget: bool = False) -> None:
        """End all faults. What a black hole has swallowed goes on its way; with `forget` its connections are reset."""
        with self._lock:
            was_black, self._black, self._refusing, self._budget = self._black, False, False, None
        if was_black and forget:
            self.cut()

    def _serve(self) -> None:
        while not self._ending:
            ready = self._selector.select(0.01)
            with self._lock:
                for key, _ in ready:
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    if end is self._listener:
                        self._accept()
                    elif end in self._partner and not self._black:
                        self._pass_on(end)
            if self._black:
                threading.Event().wait(0.01)  # its sockets stay readable

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            if self._refusing:
                raise ConnectionRefusedError
            server = socket.create_connection(self._upstream, timeout=5)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        self._from_upstream.add(server)
        for end, partner in ((client, server), (server, client)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(5)
            self._partner[end] = partner
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(_CHUNK)
            whole = self._within_budget(end, data)
            self._partner[end].sendall(whole)
        except OSError:
            data = whole = b""
        if not data or len(whole) < len(data):
            self._reset(end)

    def _within_budget(self, end: socket.socket, data: bytes) -> bytes:
        if self._budget is None or end not in self._from_upstream:
            return data
        whole = data[: self._budget]
        self._budget = None if len(whole) < len(data) else self._budget - len(whole)
        return whole

    def _reset(self, end: socket.socket) -> None:
        for each in (end, self._partner.pop(end, None)):
            if each is None or each.fileno() < 0:
                continue
            self._partner.pop(each, None)
            self._from_upstream.discard(each)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(each)
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            each.close()
