"""Worker processes seen from outside: what they hold, and how they end."""

import os
import signal
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django_machinery.models import Message, WorkerProcess
from tests.waiting import wait_until


@dataclass
class Victim:
    """A worker process, with what it held when it was stopped."""

    database: str
    pid: int
    worker_id: int
    solo: bool
    """It was started to run suspects."""
    held: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """SIGSTOP: it claims and starts nothing any more, and what it holds is known from now on."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: process_state(self.pid)[:1] in ("T", "Z", ""), message=f"{self.pid} does not stop")
        self.held = self._find_held()

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _find_held(self) -> list[str]:
        return held_by(self.database, self.worker_id)


def holders(database: str, supervisors: Collection[int]) -> list[Victim]:
    """The children of these supervisors that hold deliveries now."""
    claimed = Message.objects.using(database).filter(status=Message.Status.CLAIMED)
    workers = WorkerProcess.objects.using(database).filter(id__in=set(claimed.values_list("worker_id", flat=True)))
    victims = [Victim(database, worker.pid, worker.id, worker.concurrency == 1) for worker in workers.order_by("id")]
    # A row outlives its process for a moment, and the number of a process may be given again.
    return [victim for victim in victims if victim.pid and parent_of(victim.pid) in supervisors]


def held_by(database: str, worker_id: int) -> list[str]:
    """The UUIDs of what that worker holds."""
    claimed = Message.objects.using(database).filter(status=Message.Status.CLAIMED, worker_id=worker_id)
    return list(claimed.values_list("uuid", flat=True))


def process_state(pid: int) -> str:
    """As `ps` writes it: T for one that is stopped, empty for one that is gone."""
    return _ps(pid, "state=")


def parent_of(pid: int) -> int:
    """Its parent's number, 0 for a process that is gone."""
    return int(_ps(pid, "ppid=") or 0)


def children_of(pid: int) -> Sequence[int]:
    """The numbers of its child processes."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = (line.split() for line in listed.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]


def _ps(pid: int, column: str) -> str:
    return subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True).stdout.strip()
