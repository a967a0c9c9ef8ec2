"""Who is measured, and how its workers are started: with two processes each, at its best settings."""

from dataclasses import dataclass
from enum import Enum

PROCESSES = 2
REDIS = ("redis", "hiredis")


class Role(Enum):
    PRODUCT = "product"
    FLOOR = "floor"
    ORIGINAL = "original"
    PEER = "peer"


@dataclass(frozen=True)
class Entry:
    """A contender on one store, as the benchmark starts it."""

    name: str
    role: Role
    engine: str
    module: str  # of this package: the program that does the steps
    worker: tuple[str, ...]  # what comes after `python`, or after the original's program; {host} is the store's URL
    commands: int = 1  # how many such commands make up PROCESSES processes
    packages: tuple[str, ...] = ()  # the distributions that a peer consists of
    share: float = (
        1.0  # of the tasks that it is given: a slow one shall not take all of the time, a fast one not too little
    )
    caveat: str = ""

    @property
    def key(self) -> str:
        return f"{self.name} on {self.engine}"

    @property
    def program(self) -> str:
        return f"{__name__}.{self.module}"


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    """`python -m`"""
    return ("-m", name, *arguments)


def _product(engine: str, module: str = "product", share: float = 1.0) -> Entry:
    worker = _module("django", "runworker", "--processes", str(PROCESSES), "--queues", "measured")
    return Entry("django_machinery", Role.PRODUCT, engine, module, worker, share=share)


def _floor(engine: str, share: float = 1.0) -> Entry:
    module = f"floor_{engine}"
    caveat = "claims, decodes, calls, encodes, commits in batches under a fence, and nothing else"
    worker = _module(f"{__name__}.{module}", "work")
    return Entry("floor", Role.FLOOR, engine, module, worker, PROCESSES, share=share, caveat=caveat)


def _huey(engine: str, share: float) -> Entry:
    polls = () if engine == "redis" else ("-d", "0.005", "-m", "0.005")
    queue = f"{__name__}.huey_queues.measured"
    worker = _module("huey.bin.huey_consumer", queue, "-k", "process", "-w", str(PROCESSES), *polls, "-n", "-q")
    caveat = "a task that is running when its worker dies is lost; has no bulk send"
    packages = ("huey", "psycopg[binary]", *REDIS)
    return Entry("huey", Role.PEER, engine, "peer_huey", worker, packages=packages, share=share, caveat=caveat)


def _procrastinate() -> Entry:
    app = f"{__name__}.procrastinate_app.app"
    worker = _module("procrastinate", "--app", app, "worker", "--queues", "measured", "--concurrency", "10")
    caveat = "stores no results: its round trip ends when the job is seen to have succeeded"
    packages = ("procrastinate", "psycopg[binary]")
    return Entry("procrastinate", Role.PEER, "postgres", "peer_procrastinate", worker, PROCESSES, packages, 0.1, caveat)


def _original() -> Entry:
    caveat = "a task that is popped when its worker dies is lost; groups are sent by 10 goroutines"
    urls = ("-broker-url", "{host}", "-backend-url", "{host}")
    worker = ("worker", *urls, "-queue", "measured", "-concurrency", "20")
    return Entry("Go machinery", Role.ORIGINAL, "redis", "original", worker, PROCESSES, share=0.5, caveat=caveat)


def _celery() -> Entry:
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    options = ("-Q", "measured", "-P", "prefork", "-c", str(PROCESSES), "-l", "ERROR", *alone)
    worker = _module("celery", "-A", f"{__name__}.peer_celery", "worker", *options)
    caveat = "acknowledges before it runs a task (its default), so that one that runs when its worker dies is lost"
    packages = ("celery[redis]", "hiredis")
    return Entry("Celery", Role.PEER, "redis", "peer_celery", worker, packages=packages, share=0.25, caveat=caveat)


def _dramatiq() -> Entry:
    options = ("--processes", str(PROCESSES), "--threads", "8", "--queues", "measured")
    worker = _module("dramatiq", f"{__name__}.peer_dramatiq", *options)
    packages = ("dramatiq[redis]", "hiredis")
    caveat = "has no bulk send"
    return Entry("Dramatiq", Role.PEER, "redis", "peer_dramatiq", worker, packages=packages, share=0.25, caveat=caveat)


def _rq() -> Entry:
    worker = _module("tests.benchmarks.contenders.peer_rq", "work")
    caveat = "runs tasks in the worker's own process (SimpleWorker), not one fork each as by default"
    packages = ("rq", "hiredis")
    return Entry("RQ", Role.PEER, "redis", "peer_rq", worker, PROCESSES, packages, 0.1, caveat)


def _arq() -> Entry:
    worker = _module("arq", f"{__name__}.peer_arq.Worker")
    caveat = (
        "looks for work every 5 ms (500 by default); `async def` only; has no bulk send: 1,000 coroutines send at once"
    )
    return Entry("arq", Role.PEER, "redis", "peer_arq", worker, PROCESSES, ("arq", "hiredis"), 0.1, caveat)


def _taskiq() -> Entry:
    options = ("--workers", str(PROCESSES), "--log-level", "ERROR", "--max-async-tasks", "100")
    worker = _module("taskiq", "worker", f"{__name__}.peer_taskiq:measured", *options)
    caveat = "a task that is popped when its worker dies is lost; has no bulk send: 1,000 coroutines send at once"
    packages = ("taskiq", "taskiq-redis", "hiredis")
    return Entry("taskiq", Role.PEER, "redis", "peer_taskiq", worker, packages=packages, share=0.25, caveat=caveat)


ENTRIES = (
    _product("postgres"),
    _floor("postgres"),
    _procrastinate(),
    _huey("postgres", 0.1),
    _product("redis", "product_redis", 3.0),
    _floor("redis", 3.0),
    _original(),
    _dramatiq(),
    _huey("redis", 0.25),
    _taskiq(),
    _celery(),
    _arq(),
    _rq(),
    _product("sqlite"),
    _floor("sqlite"),
    _huey("sqlite", 0.5),
)
