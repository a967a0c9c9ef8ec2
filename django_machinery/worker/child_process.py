"""A child process as its supervisor sees it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from django_machinery import conf
from django_machinery.worker.figures import Figures, processor_time
from django_machinery.worker.launch import child_environment
from django_machinery.worker.pipes import LOST, ExitStatus, ReportReader

logger = logging.getLogger("django_machinery.workers")

STARTING = 60.0
"""Seconds that a child may take to import the project before it counts as hung."""
GRACE = 3.0
"""Seconds that a child has to follow an order to end, beyond the time that its tasks are given."""
HUNG = 2.0
"""Leases after which a child that neither moves nor computes is ended."""
LOOK = 0.15
"""Leases between two looks at what processor time a child uses."""
COMPUTING = 0.05
"""The share of a processor that a child uses at least that is not heard, and yet works: a task may keep Python's lock
for as long as a call into C takes, and with it all threads of its process from reporting."""


class ChildProcess:
    """A running child: what it was told, what it says, how it ended."""

    def __init__(self, token: str, command: Sequence[str], *, alone: bool) -> None:
        """Start it. `command` is completed by the descriptors of its two pipes."""
        self.token = token
        self.alone = alone
        """It was started for suspects."""
        self.started = monotonic()
        self.figures = Figures(token)
        self.gone = False
        """It has given back all that it held."""
        self.ready = False
        """It consumes."""
        self.mute = False
        """It will not report any more."""
        self.given_up = False
        """What it holds was given to others."""
        self.blameless = False
        """It was killed, and not because of what a task did."""
        self._killed = False
        self._lost_since: float | None = None
        self._ends_by: float | None = None
        self._beaten = self._heard_at = self._looked_at = self.started
        self._used = 0.0
        orders, self._orders = os.pipe()
        self.reports, reports = os.pipe()
        self._reader = ReportReader(self.reports)
        try:
            with conf.handed_down() as (variables, files):
                self._process = subprocess.Popen(
                    [*command, f"--orders={orders}", f"--reports={reports}"],
                    env={**child_environment(), **variables},
                    stdin=subprocess.DEVNULL,
                    pass_fds=(orders, reports, *files),
                )
        finally:
            os.close(orders)
            os.close(reports)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def status(self) -> int | None:
        """The exit status, -N for signal N, None while it runs."""
        return self._process.returncode

    @property
    def ended_well(self) -> bool:
        """In good order, with nothing held any more."""
        return self.gone and self.status in (ExitStatus.DONE, ExitStatus.RECYCLED)

    @property
    def ended_on_purpose(self) -> bool:
        """In good order, or because that was the only way to end a task or to drop a lost lease."""
        return self.ended_well or (self.gone and self.status in (ExitStatus.OVERRUN, ExitStatus.LEASE_LOST))

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return monotonic() - self.started

    def moves(self, within: float) -> bool:
        """Has its fetch loop moved in the last `within` seconds, or a task computed, or is it still starting?"""
        return monotonic() - self._beaten < (within if self.ready else STARTING)

    def hangs(self, lease: float) -> bool:
        """Has it stood still for a lease, and still holds what it held?"""
        return not self.given_up and not self.moves(lease)

    def enforce(self, lease: float) -> None:
        """To be called several times a lease: end it, if it does not end itself as it should, or hangs."""
        self._look(LOOK * lease)
        if self._overran(GRACE):
            self.kill("a task runs longer than its hard timeout", blameless=False)
        elif self._overdue(GRACE):
            self.kill("it goes on without its lease")
        elif not self.moves(HUNG * lease):
            self.kill("its fetch loop does not move, and nothing computes")

    def tell(self, order: bytes) -> None:
        """Give it an order. One that has ended cannot hear it."""
        if order == LOST and self._lost_since is None:
            self._lost_since = monotonic()
        with suppress(OSError):
            os.write(self._orders, order)

    def hear(self) -> None:
        """Take in what it has reported."""
        try:
            for report in self._reader.read():
                self.figures = report.figures
                self.gone = report.gone
                self._ends_by = report.ends_by
                self.ready = True
                self._beaten = self._heard_at = monotonic()
        except EOFError:
            self.mute = True

    def excuse(self) -> None:
        """Take it for one that was heard just now."""
        self._beaten = self._heard_at = monotonic()

    def kill(self, reason: str, *, blameless: bool = True) -> None:
        """End it at once, also one that is stopped or hangs; not `blameless`: for something that a task did."""
        if not self._killed:
            self._killed = True
            self.blameless = blameless
            logger.error("Process %d is killed: %s", self.pid, reason)
        self._process.kill()

    def close(self) -> None:
        """Close the pipes, once it has ended, and log an end that nobody has wished."""
        if not self.ended_on_purpose:
            logger.error("Process %d ended with %s: what it held is run again", self.pid, _end(self._process.wait()))
        os.close(self._orders)
        os.close(self.reports)

    def _look(self, period: float) -> None:
        """Every `period` seconds: one that computes works, even if it cannot say so."""
        now = monotonic()
        if now - self._looked_at < period:
            return
        used = processor_time(self.pid) or 0.0
        if used - self._used > COMPUTING * (now - self._looked_at):
            self._beaten = now
        self._looked_at, self._used = now, used

    def _overran(self, grace: float) -> bool:
        """Did the hard timeout of a task end more than `grace` seconds ago, and the child, which is to end itself then,
        could not say a word since?"""
        return self._ends_by is not None and monotonic() - max(self._ends_by, self._heard_at) > grace

    def _overdue(self, grace: float) -> bool:
        """Was it told more than `grace` seconds ago that its lease is lost?"""
        return self._lost_since is not None and monotonic() - self._lost_since > grace


def _end(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
