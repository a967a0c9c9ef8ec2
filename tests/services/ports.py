"""Free ports on the loopback interface."""

import random
import socket
from contextlib import ExitStack

BUS = 10_000
"""How far above its port a node of a Redis Cluster listens for the others."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, nor on those `BUS` above them, outside of the range of outgoing connections."""
    with ExitStack() as held:
        return [_hold(held) for _ in range(count)]


def _hold(held: ExitStack) -> int:
    for port in random.sample(range(10_100, 22_700), 500):
        try:
            for number in (port, port + BUS):
                held.enter_context(socket.socket()).bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise RuntimeError("no port is free")
