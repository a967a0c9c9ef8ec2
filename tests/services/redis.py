"""Redis: one server, a Cluster, and a master with its replica under Sentinels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.services.base import Service
from tests.services.certificates import Certificates
from tests.services.ports import free_ports
from tests.waiting import wait_until

SLOTS = 16384
NODE_TIMEOUT = 1000
"""Milliseconds after which a node of a Cluster, or a master under Sentinel, is taken for dead."""


class Redis(Service):
    """One server that listens on a port, on a socket and, with `certificates`, on a second port with TLS.

    There it lets in only who shows a certificate of their authority.
    """

    name: ClassVar = "Redis"
    install: ClassVar = "apt-get install redis-server openssl; pip install 'redis[hiredis]'"
    programs: ClassVar = ("redis-server", "openssl")
    modules: ClassVar = ("redis", "hiredis")
    account: ClassVar = "redis"

    def __init__(
        self,
        directory: Path,
        *options: str,
        durable: bool = False,
        certificates: Certificates | None = None,
    ) -> None:
        """`options` are words of the command line, as in `"--maxmemory", "10mb"`."""
        super().__init__(directory, durable=durable)
        self.port, self.tls_port = free_ports(2)
        self._options = options
        self._certificates = certificates

    @property
    def socket_path(self) -> str:
        return str(self.directory / "socket")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def runs(self) -> bool:
        return self._process is not None

    def client(self, **options: Any) -> Any:
        """A client of redis-py, for looking behind the scenes."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), **{"socket_timeout": 5, **options})

    def _create_data(self) -> None:
        self._run("mkdir", str(self.data))

    def _command(self) -> list[str]:
        fsync = "always" if self.durable else "no"
        return [
            *(str(self.program("redis-server")), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--unixsocket", self.socket_path, "--unixsocketperm", "777"),
            *("--dir", str(self.data), "--save", "", "--appendonly", "yes", "--appendfsync", fsync),
            *self._tls(),
            *self._options,
        ]

    def _tls(self) -> list[str]:
        if self._certificates is None:
            return []
        certificate, key = map(str, self._certificates.server)
        return [
            *("--tls-port", str(self.tls_port), "--tls-ca-cert-file", str(self._certificates.authority)),
            *("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "yes"),
        ]

    def _answers(self) -> bool:
        import redis

        with self.client(socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False


class Sentinel(Redis):
    """One of those who watch a master."""

    def __init__(self, directory: Path, master_port: int, *, name: str, password: str, quorum: int) -> None:
        super().__init__(directory)
        self._settings = f"""
            port {self.port}
            bind 127.0.0.1
            dir {self.data}
            requirepass {password}
            sentinel sentinel-pass {password}
            sentinel monitor {name} 127.0.0.1 {master_port} {quorum}
            sentinel down-after-milliseconds {name} {NODE_TIMEOUT}
            sentinel failover-timeout {name} {5 * NODE_TIMEOUT}
        """

    def _create_data(self) -> None:
        super()._create_data()
        settings = "\n".join(line.strip() for line in self._settings.splitlines())
        # Sentinel rewrites its file, so the account that runs it has to own it.
        self._run("sh", "-c", 'printf %s "$1" > "$0"', str(self.data / "sentinel.conf"), settings)

    def _command(self) -> list[str]:
        return [str(self.program("redis-server")), str(self.data / "sentinel.conf"), "--sentinel"]


class Deployment:
    """Several servers that make up one store."""

    def __init__(self) -> None:
        self.servers: list[Redis] = []

    @contextmanager
    def running(self) -> Iterator[Self]:
        with ExitStack() as running:
            for server in self.servers:
                server.start()
                running.callback(_end, server)
                self._started(server)
            self._join()
            yield self

    def _started(self, server: Redis) -> None:
        """Called for each server before the next one starts."""

    def _join(self) -> None:
        """Make one store of the servers, which all run."""
        raise NotImplementedError


class RedisCluster(Deployment):
    """Masters, each with a replica. A master that is killed is replaced within seconds."""

    def __init__(self, directory: Path, masters: int = 3) -> None:
        super().__init__()
        options = [
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)),
            # Otherwise a replica waits five seconds before it follows its master, and until then cannot replace it.
            *("--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no"),
        ]
        self.servers = [Redis(directory / f"node{number}", *options) for number in range(2 * masters)]
        self._masters = masters

    @property
    def url(self) -> str:
        return "redis://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def masters(self) -> list[Redis]:
        """Those that are masters now."""
        return [server for server in self.servers if server.runs and _role(server) == b"master"]

    def replica_of(self, master: Redis) -> Redis:
        """The one that was given to a master in the beginning."""
        return self.servers[self.servers.index(master) + self._masters]

    def _join(self) -> None:
        masters, replicas = self.servers[: self._masters], self.servers[self._masters :]
        for index, server in enumerate(self.servers):
            server.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for index, server in enumerate(masters):
            first, end = index * SLOTS // len(masters), (index + 1) * SLOTS // len(masters)
            server.client().execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for server in self.servers[1:]:
            server.client().execute_command("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        wait_until(lambda: all(self._knows_all(server) for server in self.servers), timeout=30)
        for master, replica in zip(masters, replicas, strict=True):
            master_id = master.client().execute_command("CLUSTER", "MYID")
            replica.client().execute_command("CLUSTER", "REPLICATE", master_id)
        wait_until(lambda: all(map(self._is_ready, self.servers)), timeout=30)
        wait_until(lambda: all(map(_follows, replicas)), timeout=30)

    def _knows_all(self, server: Redis) -> bool:
        known = _text(server.client().execute_command("CLUSTER", "INFO"))
        return f"cluster_known_nodes:{len(self.servers)}" in known

    def _is_ready(self, server: Redis) -> bool:
        """Whether the cluster is up, and everybody has heard of the replicas."""
        nodes = _text(server.client().execute_command("CLUSTER", "NODES"))
        return nodes.count("slave") == len(self.servers) - self._masters and "cluster_state:ok" in _text(
            server.client().execute_command("CLUSTER", "INFO")
        )


class RedisSentinel(Deployment):
    """A master, a replica and three Sentinels, which ask for a password. A master that is killed is replaced."""

    master_name = "tasks"
    password = "watch over us"

    def __init__(self, directory: Path) -> None:
        super().__init__()
        first = Redis(directory / "first", "--repl-diskless-sync-delay", "0")
        second = Redis(directory / "second", "--replicaof", "127.0.0.1", str(first.port))
        self.data_servers = [first, second]
        terms = {"name": self.master_name, "password": f'"{self.password}"', "quorum": 2}
        self.sentinels = [Sentinel(directory / f"sentinel{n}", first.port, **terms) for n in range(3)]  # type: ignore[arg-type]
        self.servers = [*self.data_servers, *self.sentinels]

    @property
    def url(self) -> str:
        return "redis://" + ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    def master(self) -> Redis:
        """The one that the first Sentinel calls the master now."""
        with self.sentinels[0].client(password=self.password) as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
        return next(server for server in self.data_servers if server.port == int(port))

    def _started(self, server: Redis) -> None:
        # A Sentinel asks a master for its replicas at once, and then only every ten seconds.
        if server is self.data_servers[1]:
            wait_until(lambda: _follows(server), timeout=30)

    def _join(self) -> None:
        wait_until(lambda: all(map(self._watches, self.sentinels)), timeout=30)

    def _watches(self, sentinel: Sentinel) -> bool:
        import redis

        with sentinel.client(password=self.password) as client:
            try:
                client.execute_command("SENTINEL", "CKQUORUM", self.master_name)
                replicas = client.execute_command("SENTINEL", "REPLICAS", self.master_name)
            except redis.ResponseError:
                return False
        return len(replicas) == 1 and len(self._others(sentinel)) == len(self.sentinels) - 1

    def _others(self, sentinel: Sentinel) -> Sequence[Any]:
        with sentinel.client(password=self.password) as client:
            found: Sequence[Any] = client.execute_command("SENTINEL", "SENTINELS", self.master_name)
            return found


def _end(server: Redis) -> None:
    if server.runs:
        server.kill()


def _role(server: Redis) -> Any:
    return server.client().execute_command("ROLE")[0]


def _follows(replica: Redis) -> bool:
    role = replica.client().execute_command("ROLE")
    return role[0] == b"slave" and role[3] == b"connected"


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
