"""Keeps a server's stores in order while workers run: renews leases, ends delays, frees what dead workers held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.relay import relay
from django_machinery.worker.rounds import Job, Rounds
from django_machinery.worker.tidying import Tidying

if TYPE_CHECKING:
    from django_machinery.server import Server
    from django_machinery.worker.figures import Figures
    from django_machinery.worker.stores import Stores

RENEW = 0.3
"""Renewals and heartbeats are counted in parts of the lease."""
LOOK = 0.04
"""Seconds between two looks at the delayed messages: one may have been sent that is due before all others."""
RELAY = 1.0
SWEEP = 1.0
BEAT = 3.0
EXPIRE = 60.0
TIDY = 2.0
"""Seconds between two rounds of each job."""


class Maintenance:
    """Threads: one renews leases and one ends delays, so that nothing can make them late; the third takes its time.

    A further one schedules, unless told not to.
    """

    def __init__(
        self,
        server: Server,
        stores: Stores,
        *,
        tokens: Callable[[], Collection[str]],
        lost: Callable[[str], None],
        figures: Callable[[], Iterable[Figures]],
        chores: Collection[Job] = (),
        look: Callable[[], float] | None = None,
    ) -> None:
        """`tokens`: those whose processes live and move. `lost` is told of one that the store says is not held.

        `look` is the scheduler's, None where there is none.
        """
        self._server = server
        self._tokens = tokens
        self._lost = lost
        self._figures = figures
        self._renewed_since = 0.0
        self._renewed_at = 0.0
        self._leases = Rounds("leases", stores, [Job(server.config.lease * RENEW, self.renew)])
        self._tidy = Tidying(server)
        self._delays = Rounds("delays", stores, [Job(None, self.promote)]) if server.broker.supports_delay else None
        self._chores = Rounds("chores", stores, [*self._jobs(), *chores])
        self._schedules = Rounds("schedules", stores, [Job(None, look)]) if look is not None else None
        self.soon = self._leases.soon
        """Do something about leases, once, between two renewals."""

    def start(self) -> None:
        self._leases.start()
        if self._delays is not None:
            self._delays.start()
        self._chores.start()
        if self._schedules is not None:
            self._schedules.start()

    def stop(self, timeout: float) -> None:
        """End, after the errands given by `soon`."""
        if self._schedules is not None:
            self._schedules.stop(timeout)
        if self._delays is not None:
            self._delays.stop(timeout)
        self._chores.stop(timeout)
        self._leases.stop(timeout)

    def renew(self) -> None:
        """Prolong the leases of all that live. Raises `BrokerUnavailable`."""
        tokens = set(self._tokens())
        if not tokens:
            return
        held = self._server.broker.renew(tokens)
        now = monotonic()
        if now - self._renewed_at > self._server.config.lease:
            self._renewed_since = now
        self._renewed_at = now
        for token in tokens - held:
            self._lost(token)

    def promote(self) -> float:
        """Make ready what is due; the seconds until the next look, which is there when the next message is due."""
        due = self._server.broker.next_due()
        if due is None or due > 0:
            return LOOK if due is None else min(due, LOOK)
        return 0.0 if self._server.broker.promote() else LOOK

    def _jobs(self) -> list[Job]:
        return [
            Job(RELAY, lambda: relay(self._server)),
            Job(SWEEP, self._sweep),
            Job(BEAT, self._beat),
            Job(EXPIRE, self._expire),
            Job(TIDY, self._tidy.look),
        ]

    def _sweep(self) -> None:
        """Free what dead workers held, but only after a lease's time of renewing without a break.

        When the store was away, or this machine asleep, the leases of everybody have run out: they get time to renew.
        """
        lease = self._server.config.lease
        if self._renewed_at - self._renewed_since >= lease and monotonic() - self._renewed_at < lease:
            self._server.broker.sweep()

    def _expire(self) -> None:
        from django_machinery.models import records

        self._server.backend.expire()
        records.expire(self._server.config.database, self._server.config.results_expire_in)

    def _beat(self) -> None:
        from django_machinery.models import WorkerProcess

        rows = [(f.token, f.busy, f.done, f.failed, f.rss) for f in self._figures()]
        if rows:
            WorkerProcess.objects.db_manager(self._server.config.database).beat(rows)
