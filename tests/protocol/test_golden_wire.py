"""What a sender and a worker of the original wrote to Redis: our workflows build the same, and its bytes survive."""

import json

import pytest
from msgspec import Raw

from django_machinery.protocol import codec
from django_machinery.protocol.go_types import Float32
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS, TaskState, merge
from django_machinery.protocol.workflows import Chain, Chord, Group, chord_members, complete, link, members
from tests.protocol.golden_data import rows

QUEUE = "machinery_tasks"
GROUP = "group_00000000-0000-4000-8000-000000000000"
ROWS = rows("wire-redis")


def sent(case: str) -> list[str]:
    """The messages of a case that the sender wrote: the last word of what pushes to a queue or the delayed tasks."""
    words = [row["redis"] for row in ROWS if row["case"] == case and row["phase"] == "send"]
    return [command[-1] for command in words if command[0] in ("RPUSH", "ZADD")]


def ready(*signatures: Signature) -> list[str]:
    """The messages that we send for signatures, with the group UUID of the golden data."""
    complete_ones = (complete(signature, QUEUE) for signature in signatures)
    grouped = (s.replace(group_uuid=GROUP) if s.group_uuid else s for s in complete_ones)
    return [codec.encode_signature(signature).decode() for signature in grouped]


def task(number: int, name: str, *values, **fields) -> Signature:
    return Signature.of(name, *values, uuid=f"task_{number}", **fields)


def without_arguments(number: int, name: str, **fields) -> Signature:
    """Go's nil slice of arguments."""
    return Signature(uuid=f"task_{number}", name=name, **fields)


def chord_of(callback: Signature, *group: Signature) -> list[str]:
    return ready(*chord_members(Chord(Group(*group), callback))[1])


ADD_1, ADD_20 = task(1, "add", 1), task(2, "add", 20)
OWN = {
    "task": lambda: ready(task(1, "add", 9007199254740993, 1)),
    "task with everything": lambda: ready(
        task(
            1,
            "split",
            headers={"z": "last", "a": "first"},
            args=[Arg.of("<a>=é\u2028", name="s"), Arg.of("=")],
            priority=3,
            immutable=True,
            on_success=[without_arguments(2, "noop", retry_count=2)],
        )
    ),
    "several results, bytes, floats": lambda: ready(
        task(1, "echo_[]byte", b"\x00\xff"),
        task(2, "echo_float64", 1.0),
        task(3, "echo_[]float32", args=[Arg.of([0.1, 1e21], list[Float32])]),
        task(4, "echo_bool", False),
        without_arguments(5, "noop"),
        task(6, "echo_[]string", args=[Arg(type="[]string", value=Raw(b"null"))]),
    ),
    "group": lambda: ready(*members(Group(ADD_1, task(2, "fail", "no")))),
    "chord": lambda: chord_of(Signature.of("add", 300, uuid="chord_1"), ADD_1, ADD_20),
    "chord, immutable callback": lambda: chord_of(Signature.of("add", 5, uuid="chord_1", immutable=True), ADD_1),
    "chain": lambda: ready(link(Chain(ADD_1, ADD_20, task(3, "multiply", 2)))[0]),
    "chain, immutable first": lambda: ready(link(Chain(ADD_1.replace(immutable=True), ADD_20))[0]),
    "error callback": lambda: ready(
        task(
            1,
            "fail",
            "<boom>",
            on_error=[task(2, "record_error", "own", immutable=True)],
            on_success=[without_arguments(3, "noop")],
        )
    ),
    "panic": lambda: ready(task(1, "panic", "aargh")),
    "retry then success": lambda: ready(task(1, "fail_times", 1, retry_count=2)),
    "retry later": lambda: ready(task(1, "retry_later", 200, 1)),
    "delay": lambda: ready(without_arguments(1, "noop", eta_text="2026-01-02T03:04:05.678901234Z")),
    "past ETA": lambda: ready(without_arguments(1, "noop", eta_text="2020-01-02T03:04:05.12+01:00")),
    "routing key": lambda: ready(without_arguments(1, "noop", queue="other")),
    "not registered, ignored": lambda: ready(without_arguments(1, "nowhere", ignore_when_task_not_registered=True)),
}


def test_every_case_is_built_here():
    assert set(OWN) == {row["case"] for row in ROWS}


@pytest.mark.parametrize("case", OWN)
def test_we_send_what_go_sends(case):
    assert OWN[case]() == sent(case)


def texts_with(member: str) -> list[str]:
    return sorted({word for row in ROWS for word in row["redis"] if word.startswith(f'{{"{member}":')})


@pytest.mark.parametrize(
    ("member", "decode", "encode"),
    [
        ("UUID", codec.decode_signature, codec.encode_signature),
        ("TaskUUID", codec.decode_state, codec.encode_state),
        ("GroupUUID", codec.decode_group, codec.encode_group),
    ],
)
def test_all_that_go_wrote_survives_byte_for_byte(member, decode, encode):
    texts = texts_with(member)
    assert texts
    for text in texts:
        assert encode(decode(text)).decode() == text


def test_states_are_merged_as_go_merges_them():
    stored: dict[tuple[str, str], TaskState] = {}
    for row in ROWS:
        if row["redis"][0] != "SET" or not row["redis"][2].startswith('{"TaskUUID":'):
            continue
        key, written = (row["case"], row["redis"][1]), codec.decode_state(row["redis"][2])
        bare = json.loads(row["redis"][2])
        if written.state != PENDING:  # the others have no name and no time before they are merged
            bare["TaskName"], bare["CreatedAt"] = "", "0001-01-01T00:00:00Z"
        assert merge(stored.get(key), codec.decode_state(json.dumps(bare))) == written
        stored[key] = written
    assert {state.state for state in stored.values()} == {SUCCESS, FAILURE, PENDING}
