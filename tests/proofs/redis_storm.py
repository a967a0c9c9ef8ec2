"""The kill storm on Redis: messages, states and groups are there, so that is where the ledger looks."""

import argparse
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.models import DeadLetter, WorkerProcess
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.workflows import deterministic_uuid
from tests.acceptance.storm import Storm
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site
from tests.proofs.victims import Victim, parent_of
from tests.services import Redis, scratch_directory

HELP = "kill workers while they run tasks, groups and chords that are in Redis"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", type=int, default=50_000, help="default %(default)s")
    parser.add_argument("--kills", type=int, default=31, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with (
        scratch_directory() as directory,
        Redis(directory / "redis").running() as redis,
        new_site(options.engine, **on_redis(redis.url)) as place,
    ):
        return prove(place, options.tasks, options.kills, options.seed)


def on_redis(url: str) -> dict[str, Any]:
    """The settings of a server that keeps everything there."""
    return {"BROKER": url, "RESULT_BACKEND": url, "LOCK": url}


def prove(place: Site, count: int, kills: int, seed: int) -> Ledger:
    """Send `count` tasks or a few more, kill `kills` times meanwhile, and wait for the end of all."""
    storm = RedisStorm(place, count, kills, Random(seed))
    began = time.monotonic()
    storm.rage()
    ledger = storm.ledger(f"kill storm on Redis: seed {seed}")
    ledger.enter(seconds=time.monotonic() - began)
    return ledger


@dataclass
class RedisVictim(Victim):
    """`token` is what its deliveries are held under."""

    broker: RedisBroker | None = None
    queue: str = ""
    token: str = ""

    def _find_held(self) -> list[str]:
        assert self.broker is not None
        bodies = self.broker.client.call(self.queue, ("HVALS", queue_keys(self.queue).held(self.token)))
        return [decode_signature(body).uuid for body in bodies]


class RedisStorm(Storm):
    @property
    def _broker(self) -> RedisBroker:
        broker = self._place.server.broker
        assert isinstance(broker, RedisBroker)
        return broker

    @property
    def _queue(self) -> str:
        return self._place.server.config.default_queue

    def _has_messages(self) -> bool:
        return bool(self._broker.depth(self._queue) or self._held_by_all())

    def _held_by_all(self) -> int:
        tokens = self._broker.client.call(self._queue, ("SMEMBERS", queue_keys(self._queue).holders))
        held = [queue_keys(self._queue).held(token.decode()) for token in tokens]
        return sum(self._broker.client.calls([(self._queue, ("HLEN", key)) for key in held]))

    def _holders(self, supervisors: Collection[int]) -> Sequence[Victim]:
        found = [
            RedisVictim(
                self.database,
                worker.pid,
                worker.id,
                worker.concurrency == 1,
                broker=self._broker,
                queue=self._queue,
                token=worker.token,
            )
            for worker in WorkerProcess.objects.using(self.database).order_by("id")
            if worker.pid
        ]
        return [victim for victim in found if victim._find_held() and parent_of(victim.pid) in supervisors]

    def _ended(self) -> dict[str, int]:
        uuids = list(self._sent.results)
        states = self._place.server.backend.get_states(uuids)
        successes = [(uuid, state) for uuid, state in zip(uuids, states, strict=True) if state and state.is_success]
        return {uuid: int(bytes(state.results[0].value)) for uuid, state in successes if state.results}  # type: ignore[union-attr]

    def _judge_chords(self, ledger: Ledger) -> None:
        """One callback a chord, and one follow-up a callback, by what ran: whatever is sent twice would run."""
        callbacks = set(self._sent.callbacks)
        runs = self._place.runs.by_task
        again = sum(1 for uuid in callbacks if len(runs.get(uuid, ())) > 1)
        ledger.enter(chords=len(callbacks), callbacks_that_a_kill_hit=again)
        ran = {run.task for run in self._place.runs if run.words == ("total",)}
        ledger.promise("each chord has one callback, under the UUID that was returned", callbacks == ran)
        followed = {run.task for run in self._place.runs if run.words == ("follow",)}
        expected = {deterministic_uuid(uuid, "OnSuccess/0") for uuid in callbacks}
        ledger.promise("each callback has one set of follow-ups", followed == expected, followed ^ expected)

    def _judge_leftovers(self, ledger: Ledger) -> None:
        letters = list(DeadLetter.objects.using(self.database).values_list("uuid", "reason"))
        ledger.promise("nothing became a dead letter", not letters, letters)
        left = (self._broker.depth(self._queue), self._held_by_all(), len(self._broker.delayed()))
        ledger.promise("nothing is left on the queue, in hands or delayed", left == (0, 0, 0), left)
        ledger.promise("the surviving workers end with status 0", not any(self._statuses), self._statuses)
