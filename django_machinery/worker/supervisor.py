"""The supervisor: keeps child processes at work, their leases held, and what they leave behind in order.

Its main thread only watches: it never asks a store, so that it hears signals and dying children at once.
"""

from __future__ import annotations

import select
import signal
import uuid
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.scheduler.scheduler import Scheduler
from django_machinery.worker.beacon import Beacon
from django_machinery.worker.child_process import GRACE, ChildProcess
from django_machinery.worker.launch import management_command
from django_machinery.worker.maintenance import Maintenance
from django_machinery.worker.pipes import FINISH, LOST, QUIT, ExitStatus
from django_machinery.worker.place import Place
from django_machinery.worker.plan import Plan
from django_machinery.worker.roster import Roster
from django_machinery.worker.rounds import Job
from django_machinery.worker.stores import UNAVAILABLE, Stores
from django_machinery.worker.wakeup import Wakeup

if TYPE_CHECKING:
    from django_machinery.server import Server

TICK = 0.25
"""The longest wait, in seconds, between two looks at the children."""
LOOK_FOR_SUSPECTS = 1.0
"""Seconds between two looks for suspects."""


class Supervisor:
    """Runs `plan` until it is told to stop, or with `drain` until nothing is left to run.

    The first SIGTERM or SIGINT lets the children finish, the second, or the deadline, ends them.
    """

    def __init__(self, server: Server, plan: Plan, announce: Callable[[str], object]) -> None:
        """`announce` is called with a line for people: when all processes consume, and when they stop. It must not
        raise: the children would go on without a supervisor.
        """
        self._announce = announce
        self._server = server
        self._plan = plan
        self._wakeup = Wakeup()
        self._roster = Roster(server, plan.queues, plan.tag)
        self._children: dict[str, ChildProcess] = {}
        self._places = [Place() for _ in range(plan.processes)]
        self._solos_awaited = 0
        self._checking_drained = False
        self._drained = False
        self._stopping_since: float | None = None
        self._quitting_since: float | None = None
        self._enforced_at = monotonic()
        self._beacon = Beacon(plan.heartbeat_file, lambda: announce(self._description()))
        self._failure: Exception | None = None
        self._status = ExitStatus.DONE
        self._maintenance = Maintenance(
            server,
            Stores(server.config),
            tokens=self._tokens,
            lost=lambda token: self._wakeup.call(lambda: self._lose(token)),
            figures=lambda: [child.figures for child in list(self._children.values())],
            chores=[Job(LOOK_FOR_SUSPECTS, self._look_for_suspects)],
            look=Scheduler(server).look if plan.schedules else None,
        )

    def run(self) -> ExitStatus:
        """Raises what makes all work impossible, such as tables that do not exist."""
        with self._wakeup.signals((signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)):
            self._maintenance.start()
            while not self._finished():
                self._fill_places()
                self._hear()
                self._reap()
                self._enforce()
                self._beacon.show([place.child for place in self._places])
            self._maintenance.stop(GRACE)
        if self._failure is not None:
            raise self._failure
        return self._status

    def reload(self, plan: Plan | None = None) -> None:
        """Replace every child by one that loads the project's code and settings anew; from any thread.

        `plan`: what they are to do from now on; queues and processes stay.
        """
        self._wakeup.call(lambda: self._replace_children(plan))

    def _finished(self) -> bool:
        return not self._children and (self._drained or self._stopping_since is not None)

    def _fill_places(self) -> None:
        if self._stopping_since is not None:
            return
        for place in self._places:
            if place.vacant:
                place.awaited = True
                self._hire(place)
        if not self._children and not self._solos_awaited and all(place.done for place in self._places):
            self._check_whether_drained()

    def _hire(self, place: Place | None) -> None:
        """Take a lease, then have the main thread start a child: in a place, or one for suspects."""
        token = uuid.uuid4().hex

        def enlist() -> None:
            self._roster.enlist(token)
            self._wakeup.call(lambda: self._start(token, place))

        self._soon(enlist)

    def _start(self, token: str, place: Place | None) -> None:
        if place is None:
            self._solos_awaited -= 1
        else:
            place.awaited = False
        if self._stopping_since is not None:
            self._soon(lambda: self._roster.dismiss(token, gone=True))
            return
        child = ChildProcess(token, self._command(token, alone=place is None), alone=place is None)
        self._children[token] = child
        if place is not None:
            place.child = child
        self._soon(lambda: self._roster.describe(token, 1 if child.alone else self._plan.concurrency, child.pid))

    def _command(self, token: str, *, alone: bool) -> list[str]:
        plan = self._plan
        common = [f"--verbosity={plan.verbosity}"]
        common += [f"--pythonpath={plan.pythonpath}"] * (plan.pythonpath is not None)
        options = [
            f"--server={self._server.alias}",
            f"--token={token}",
            f"--queues={','.join(plan.queues)}",
            f"--concurrency={1 if alone else plan.concurrency}",
            f"--tag={plan.tag}",
            f"--shutdown-timeout={plan.shutdown_timeout}",
        ]
        options += ["--alone"] * alone + ["--drain"] * (plan.drain and not alone)
        options += [f"--max-tasks={plan.max_tasks}"] * (plan.max_tasks is not None)
        return management_command("machinery", *common, "child", *options)

    def _hear(self) -> None:
        reporting = {child.reports: child for child in self._children.values() if not child.mute}
        ready, _, _ = select.select([self._wakeup.file, *reporting], [], [], TICK)
        for file in ready:
            if file in reporting:
                reporting[file].hear()
        for number in self._wakeup.receive():
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop_or_quit()

    def _stop_or_quit(self) -> None:
        if self._stopping_since is None:
            self._stop()
        elif self._quitting_since is None:
            self._quit()

    def _stop(self) -> None:
        self._stopping_since = monotonic()
        self._tell_all(FINISH)
        self._announce("STOPPING: running tasks may finish; the next signal ends them")

    def _quit(self) -> None:
        self._quitting_since = monotonic()
        self._tell_all(QUIT)

    def _tell_all(self, order: bytes) -> None:
        for child in self._children.values():
            child.tell(order)

    def _reap(self) -> None:
        for child in [child for child in self._children.values() if child.ended]:
            child.hear()
            child.close()
            del self._children[child.token]
            self._vacate(child)
            if not child.ended_well and self._stopping_since is not None:
                self._status = ExitStatus.CUT_OFF
            self._soon(lambda child=child: self._settle(child))  # type: ignore[misc]

    def _vacate(self, child: ChildProcess) -> None:
        for place in self._places:
            if place.child is child:
                place.vacate()
                place.done = self._plan.drain and child.status == ExitStatus.DONE and child.gone
        if child.alone and self._plan.drain:
            self._places[0].done = False  # what the suspects have triggered is to be run too

    def _settle(self, child: ChildProcess) -> None:
        """In the thread of the leases."""
        self._roster.dismiss(child.token, gone=child.gone, blameless=child.blameless)
        if not child.gone:
            self._look_for_suspects()

    def _look_for_suspects(self) -> None:
        """In another thread than the main one."""
        if count := self._roster.suspects():
            self._wakeup.call(lambda: self._isolate(count))

    def _isolate(self, suspects: int) -> None:
        solos = self._solos_awaited + sum(1 for child in self._children.values() if child.alone)
        if self._stopping_since is None:
            for _ in range(min(suspects, self._plan.processes) - solos):
                self._solos_awaited += 1
                self._hire(None)

    def _check_whether_drained(self) -> None:
        if self._checking_drained:
            return
        self._checking_drained = True

        def check() -> None:
            count = self._roster.suspects()
            self._wakeup.call(lambda: self._conclude(count))

        self._soon(check)

    def _conclude(self, suspects: int) -> None:
        self._checking_drained = False
        self._drained = not suspects
        self._isolate(suspects)

    def _enforce(self) -> None:
        now = monotonic()
        if now - self._enforced_at > 0.5 * self._server.config.lease:
            self._excuse_all()
        self._enforced_at = now
        for child in self._children.values():
            child.enforce(self._server.config.lease)
            if child.hangs(self._server.config.lease):
                self._give_up(child)
        if self._stopping_since is not None and self._quitting_since is None:
            if now - self._stopping_since > self._plan.shutdown_timeout + GRACE:
                self._quit()
        elif self._quitting_since is not None and now - self._quitting_since > GRACE:
            for child in self._children.values():
                child.kill("it does not end")

    def _give_up(self, child: ChildProcess) -> None:
        """Before its lease runs out, as then what it runs alone would be blamed."""
        child.given_up = True
        self._soon(lambda: self._roster.give_up(child.token))

    def _excuse_all(self) -> None:
        """This process stood still itself: that nothing was heard meanwhile says nothing about its children."""
        for child in self._children.values():
            child.excuse()

    def _lose(self, token: str) -> None:
        child = self._children.get(token)
        if child is not None:
            child.tell(LOST)

    def _replace_children(self, plan: Plan | None) -> None:
        self._plan = plan or self._plan
        for place in self._places:
            place.try_again()
        self._beacon.renew()
        self._tell_all(FINISH)

    def _description(self) -> str:
        plan = self._plan
        processes = f"{plan.processes} process{'es' * (plan.processes > 1)}"
        threads = (
            f"{plan.concurrency} thread{'s' * (plan.concurrency > 1)}" if plan.concurrency else "threads as needed"
        )
        where = f"server {self._server.alias!r}, queues {', '.join(plan.queues)}"
        return f"READY: {where}, {processes} of {threads}"

    def _tokens(self) -> list[str]:
        """In the thread of the leases: the children whose leases are to be prolonged."""
        within = self._server.config.lease * 0.5
        return [child.token for child in list(self._children.values()) if child.moves(within)]

    def _soon(self, errand: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                errand()
            except UNAVAILABLE:
                raise
            except Exception as error:
                failure = error
                self._wakeup.call(lambda: self._fail(failure))

        self._maintenance.soon(guarded)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        if self._stopping_since is None:
            self._stop()
