"""Who is measured, and how its workers are started: with two processes each, at its best settings."""

from dataclasses import dataclass
from enum import Enum

PROCESSES = 2


class Role(Enum):
    PRODUCT = "product"
    FLOOR = "floor"
    PEER = "peer"


@dataclass(frozen=True)
class Entry:
    """A contender on one store, as the benchmark starts it."""

    name: str
    role: Role
    engine: str
    module: str  # of this package: the program that does the steps
    worker: tuple[str, ...]  # what comes after `python`
    commands: int = 1  # how many such commands make up PROCESSES processes
    packages: tuple[str, ...] = ()  # the distributions that a peer consists of
    caveat: str = ""

    @property
    def key(self) -> str:
        return f"{self.name} on {self.engine}"

    @property
    def program(self) -> str:
        return f"{__name__}.{self.module}"


def _product(engine: str, module: str = "product") -> Entry:
    worker = ("-m", "django", "runworker", "--processes", str(PROCESSES), "--queues", "measured")
    return Entry("django_machinery", Role.PRODUCT, engine, module, worker)


def _floor(engine: str) -> Entry:
    module = f"floor_{engine}"
    caveat = "claims, decodes, calls, encodes, commits in batches under a fence, and nothing else"
    return Entry("floor", Role.FLOOR, engine, module, ("-m", f"{__name__}.{module}", "work"), PROCESSES, caveat=caveat)


def _huey(engine: str) -> Entry:
    queue = f"{__name__}.huey_queues.measured"
    worker = (
        "-m",
        "huey.bin.huey_consumer",
        queue,
        "-k",
        "process",
        "-w",
        str(PROCESSES),
        "-d",
        "0.005",
        "-m",
        "0.005",
    )
    caveat = "a task that is running when its worker dies is lost; has no bulk send"
    return Entry(
        "huey", Role.PEER, engine, "peer_huey", (*worker, "-n", "-q"), packages=("huey", "psycopg"), caveat=caveat
    )


ENTRIES = (
    _product("postgres"),
    _floor("postgres"),
    Entry(
        "procrastinate",
        Role.PEER,
        "postgres",
        "peer_procrastinate",
        (
            "-m",
            "procrastinate",
            "--app",
            f"{__name__}.procrastinate_app.app",
            "worker",
            "--queues",
            "measured",
            "--concurrency",
            "10",
        ),
        PROCESSES,
        ("procrastinate", "psycopg"),
        "stores no results: its round trip ends when the job is seen to have succeeded",
    ),
    _huey("postgres"),
    _product("redis", "product_redis"),
    _floor("redis"),
    _product("sqlite"),
    _floor("sqlite"),
    _huey("sqlite"),
)
