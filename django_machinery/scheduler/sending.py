"""From a schedule to tasks that are sent, and whether its last run still goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django_machinery.protocol.states import FINAL
from django_machinery.protocol.workflows import Chain, Chord, Group, forget_uuids

if TYPE_CHECKING:
    from django_machinery.models import Schedule
    from django_machinery.server import Server


class Sent(NamedTuple):
    """What was sent."""

    uuids: list[str]
    """Of all tasks."""
    last: str
    """Of what ends last, by which a run is followed: see `Schedule.last_uuid`."""


def send(server: Server, schedule: Schedule) -> Sent:
    """Send what the schedule is for, under new UUIDs, in the transaction that is open on the server's database.

    Raises `DecodeError` for signatures that are none, and what `Server.send_task` raises.
    """
    signatures = [forget_uuids(signature) for signature in schedule.invocations]
    if schedule.kind == "chain":
        steps = server.send_chain(Chain(*signatures)).results
        return Sent([step.uuid for step in steps], steps[-1].uuid)
    if schedule.kind == "group":
        group = server.send_group(Group(*signatures))
        return Sent([member.uuid for member in group.results], group.uuid)
    if schedule.kind == "chord":
        chord = server.send_chord(Chord(Group(*signatures[:-1]), signatures[-1]))
        return Sent([*(member.uuid for member in chord.group.results), chord.uuid], chord.uuid)
    (signature,) = signatures
    task = server.send_task(signature)
    return Sent([task.uuid], task.uuid)


def is_running(server: Server, schedule: Schedule) -> bool:
    """Has the last run not ended, as far as the result backend knows? One that waits for a worker has not."""
    if not schedule.last_uuid:
        return False
    if schedule.kind == "group":
        progress = server.backend.group_progress(schedule.last_uuid)
        return progress is not None and progress.done < progress.total
    (state,) = server.backend.get_states([schedule.last_uuid])
    return state is not None and state.state not in FINAL
