"""What operators do: pause queues, cancel tasks, run them again, delete what is left of them.

Pauses and cancellations are rows in the project's database that every worker obeys within about a second, whatever the
broker, also one that is started later. Each function takes a server and any number of UUIDs, works in chunks, and
returns how many tasks or messages it changed. `by` says who asked.
"""

from __future__ import annotations

import logging
import uuid as uuids_
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django_machinery import signals
from django_machinery.exceptions import DecodeError
from django_machinery.protocol import followups, headers
from django_machinery.protocol.states import FAILURE
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Outcome, Verdict
from django_machinery.server import Server

if TYPE_CHECKING:
    from django_machinery.models.attempt import AttemptManager
    from django_machinery.models.control import CancellationManager, QueueControlManager
    from django_machinery.seams.broker import Consumer, Delivery

CHUNK = 500
"""How many tasks are worked on at once."""

logger = logging.getLogger("django_machinery.workers")


def pause(server: Server, queue: str, by: str = "", resume_at: datetime | None = None) -> None:
    """Let a queue rest, until `resume_at` or `resume`: what runs goes on, nothing more is fetched from it."""
    _queues(server).pause(server.alias, queue, by, resume_at)
    logger.info("Queue %s of server %s was paused by %s", queue, server.alias, by or "somebody")


def resume(server: Server, queue: str, by: str = "") -> None:
    """End a pause. A queue that is not paused stays as it is."""
    if _queues(server).resume(server.alias, queue):
        logger.info("Queue %s of server %s was resumed by %s", queue, server.alias, by or "somebody")


def paused(server: Server) -> set[str]:
    """The queues that are paused now."""
    return _queues(server).paused(server.alias)


def cancel(server: Server, uuids: Sequence[str], by: str = "", hard: bool = False) -> int:
    """Cancel tasks that have not ended: they fail, for the reason "cancelled", and are not retried.

    One that waits, delayed ones too, does not run: it fails at once where the broker finds messages by their task, else
    when a worker comes to it. One that runs is told by `context.cancelled`, and an `async def` task is ended by
    `TaskCancelled`; a plain task that does not look goes on, unless `hard`: then its worker process ends as for a hard
    timeout. In a `Worker` of the own process, which cannot end, `hard` changes nothing.

    The request stands until its task has ended. It does not hold for runs after a later start anew.
    """
    return sum(_cancel(server, chunk, by, hard) for chunk in _chunks(uuids))


def retry(server: Server, uuids: Sequence[str], by: str = "") -> int:
    """Run tasks again that have ended, well or badly, as they were sent: under their UUIDs, as the next generation.

    What they trigger gets new UUIDs. Only where the result backend keeps invocations (`keeps_signatures`).
    """
    count = 0
    for chunk in _chunks(uuids):
        ended = [uuid for uuid, state in _states(server, chunk).items() if state is not None and state.is_completed]
        signatures = [signature for signature in server.backend.signatures(ended) if signature is not None]
        if signatures:
            _cancellations(server).settle(server.alias, [signature.uuid for signature in signatures])
            server.start_anew(signatures)
            count += len(signatures)
    logger.info("%d tasks of server %s were started anew by %s", count, server.alias, by or "somebody")
    return count


def run_now(server: Server, uuids: Sequence[str]) -> int:
    """Let tasks run that wait for their time, or for their next attempt, as soon as a worker is free."""
    return sum(server.hasten(chunk) for chunk in _chunks(uuids))


def delete(server: Server, uuids: Sequence[str]) -> int:
    """Delete the states of tasks that have ended, with what is known of their attempts.

    Members of a group that has not ended are spared: what follows the group needs their results.
    """
    count = 0
    for chunk in _chunks(uuids):
        ended = [uuid for uuid, state in _states(server, chunk).items() if state is not None and state.is_completed]
        free = _without_unfinished_groups(server, ended)
        server.backend.purge(free)
        if not server.backend.keeps_attempts:
            _attempts(server).filter(uuid__in=free).delete()
        count += len(free)
    return count


def purge(server: Server, queue: str) -> int:
    """Delete the messages that are ready on a queue. Their tasks fail, for the reason "cancelled", where the broker
    finds messages by their task; elsewhere their states stay as they are.
    """
    count = 0
    if server.broker.supports_lookup:
        while waiting := server.broker.pending(queue, CHUNK):
            ended = _end_waiting(server, _uuids_in(server, waiting), "its queue was purged")
            if not ended:
                break
            count += len(ended)
    return count + server.broker.purge(queue)


def _cancel(server: Server, uuids: Sequence[str], by: str, hard: bool) -> int:
    from django_machinery.models.control import ANY_GENERATION

    unfinished = [uuid for uuid, state in _states(server, uuids).items() if state is None or not state.is_completed]
    if not unfinished:
        return 0
    signatures = zip(unfinished, server.backend.signatures(unfinished), strict=True)
    generations = {
        uuid: ANY_GENERATION if signature is None else headers.generation(signature) for uuid, signature in signatures
    }
    _cancellations(server).request(server.alias, generations, by, hard=hard)
    if server.broker.supports_lookup:
        ended = _end_waiting(server, unfinished, cancelled_text(by))
        _cancellations(server).settle(server.alias, ended)
    return len(unfinished)


def cancelled_text(by: str) -> str:
    """The error of a task that was cancelled before it ran."""
    return f"the task was cancelled by {by} before it ran" if by else "the task was cancelled before it ran"


def _end_waiting(server: Server, uuids: Sequence[str], error: str) -> list[str]:
    """End tasks whose messages wait, as a worker would, with all that their failure triggers; returns their UUIDs."""
    with _consumer(server) as consumer:
        outcomes = [_cancelled(server, delivery, error) for delivery in consumer.take(uuids)]
        verdicts = server.unit(consumer).commit(outcomes)
    ended = [o for o, verdict in zip(outcomes, verdicts, strict=True) if verdict is Verdict.COMMITTED]
    for outcome in ended:
        _announce(server, outcome)
    return [outcome.signature.uuid for outcome in ended if outcome.signature is not None]


@contextmanager
def _consumer(server: Server) -> Iterator[Consumer]:
    """A worker's place under a lease, so that what it holds is not lost when this process dies."""
    token = uuids_.uuid4().hex
    server.broker.renew([token])
    try:
        consumer = server.broker.consumer((server.config.default_queue,), (), token)
        try:
            yield consumer
        finally:
            consumer.close()
    finally:
        server.broker.resign(token)


def _cancelled(server: Server, delivery: Delivery, error: str) -> Outcome:
    signature = server.decode(delivery.body)
    change = StateChange(signature, FAILURE, error=error, reason="cancelled", finished_at=datetime.now(UTC))
    return Outcome(
        delivery,
        signature,
        change,
        followups.error_callbacks(signature, error),
        abandoned=followups.abandoned(signature),
    )


def _announce(server: Server, outcome: Outcome) -> None:
    if signals.task_failed.receivers:
        signals.task_failed.send_robust(
            Server,
            server=server.alias,
            worker="",
            signature=outcome.signature,
            error=outcome.error,
            exception=None,
            traceback="",
            reason="cancelled",
            seconds=0.0,
        )


def _without_unfinished_groups(server: Server, uuids: Sequence[str]) -> list[str]:
    signatures = zip(uuids, server.backend.signatures(uuids), strict=True)
    groups = {uuid: signature.group_uuid if signature is not None else "" for uuid, signature in signatures}
    unfinished = {group for group in set(groups.values()) if group and _is_unfinished(server, group)}
    return [uuid for uuid in uuids if groups[uuid] not in unfinished]


def _is_unfinished(server: Server, group: str) -> bool:
    progress = server.backend.group_progress(group)
    return progress is not None and progress.done < progress.total


def _uuids_in(server: Server, waiting: Sequence[Any]) -> list[str]:
    found = []
    for message in waiting:
        try:
            found.append(server.decode(message.body).uuid)
        except DecodeError:
            continue
    return found


def _states(server: Server, uuids: Sequence[str]) -> dict[str, Any]:
    return dict(zip(uuids, server.backend.get_states(uuids), strict=True))


def _chunks(uuids: Sequence[str]) -> Iterator[Sequence[str]]:
    distinct = list(dict.fromkeys(uuids))
    return (distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK))


def _queues(server: Server) -> QueueControlManager:
    from django_machinery.models import QueueControl  # not before the apps are loaded

    return QueueControl.objects.db_manager(server.config.database)


def _cancellations(server: Server) -> CancellationManager:
    from django_machinery.models import Cancellation

    return Cancellation.objects.db_manager(server.config.database)


def _attempts(server: Server) -> AttemptManager:
    from django_machinery.models import Attempt

    return Attempt.objects.db_manager(server.config.database)
