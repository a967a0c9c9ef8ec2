"""Our sends, run by a worker of the original: values, workflows, retries, delays, and what we then read."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Raw

from django_machinery import Chain, Chord, Group, TaskFailed
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.server import Server
from tests.databases import on_databases
from tests.interop.conftest import DRIVERS, error_callback
from tests.interop.go import Original
from tests.interop.values import CONVERTED, REFUSED, Converted
from tests.waiting import wait_until

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]
TIMEOUT = 20.0
everywhere = pytest.mark.parametrize("driver", DRIVERS, indirect=True)
with_both = pytest.mark.parametrize("driver", ["redigo", "go-redis"], indirect=True)


def of(name: str, *values: Any, **fields: Any) -> Signature:
    return Signature.of(name, *values, **fields)


def echo_of(case: Converted) -> Signature:
    return Signature(name=f"echo_{case.type}", args=(Arg("", case.type, Raw(case.raw)),))


@with_both
def test_values_of_every_type_at_their_limits(server: Server, original: Original):
    group = server.send_group(Group(*map(echo_of, CONVERTED)))
    with original.worker():
        states = server.backend.wait([result.uuid for result in group.results], TIMEOUT)
    found = [[(r.type, bytes(r.value).decode()) for r in state.results or () if r] for state in states if state]
    assert found == [[(case.go_type, case.json)] for case in CONVERTED]


def test_values_that_go_refuses_fail_in_its_words(server: Server, original: Original):
    """One at a time: an argument that does not convert stops the original's worker for good (redis.go:300)."""
    for case in REFUSED:
        result = server.send_task(echo_of(case))
        with original.worker() as worker:
            wait_until(lambda result=result: result.is_completed)  # type: ignore[misc]
            worker.kill()
        with pytest.raises(TaskFailed, match=case.error):
            result.get(TIMEOUT)


@everywhere
def test_a_task_a_chain_a_group_and_a_chord(server: Server, original: Original):
    with original.worker():
        assert server.send_task(of("add", 1, 2)).get(TIMEOUT) == 3
        assert server.send_task(of("noop")).get(TIMEOUT) is None
        assert server.send_task(of("split", "a=b", "=")).get(TIMEOUT) == ("a", "b", True)
        chain = server.send_chain(Chain(of("add", 1, 2), of("add", 10), of("multiply", 3)))
        assert chain.get(TIMEOUT) == 39
        assert server.send_group(Group(*[of("add", n, n) for n in range(5)])).get(TIMEOUT) == [0, 2, 4, 6, 8]
        chord = Chord(Group(*[of("multiply", n, n) for n in range(1, 5)]), of("add", 100))
        assert server.send_chord(chord).get(TIMEOUT) == 130


@with_both
def test_immutable_signatures_get_no_results(server: Server, original: Original):
    first = of("add", 1, 2, immutable=True)
    callback = of("concat", "alone", immutable=True)
    with original.worker():
        assert server.send_chain(Chain(first, of("add", 10))).get(TIMEOUT) == 10
        assert server.send_chord(Chord(Group(of("add", 1, 1)), callback)).get(TIMEOUT) == "alone"


@with_both
def test_an_error_callback_gets_the_message_first(server: Server, original: Original):
    alarm = of("record_error", "told", uuid="task_alarm")
    result = server.send_task(of("fail", "it", "broke", on_error=[alarm]))
    with original.worker():
        with pytest.raises(TaskFailed, match="it broke"):
            result.get(TIMEOUT)
        assert error_callback(result, "task_alarm").get(TIMEOUT) == "it broke"


@with_both
def test_a_task_that_fails_is_retried(server: Server, original: Original):
    with original.worker():
        assert server.send_task(of("fail_times", 1, retry_count=2)).get(TIMEOUT) == 2
        assert server.send_task(of("retry_later", 50, 2)).get(TIMEOUT) == 3


@everywhere
def test_a_delayed_task_waits_where_go_looks(server: Server, original: Original):
    result = server.send_task(of("add", 1, 2, eta=timedelta(seconds=0.7)))
    (waiting,) = original.pending("-delayed")
    assert waiting["UUID"] == result.uuid
    with original.worker():
        assert result.get(TIMEOUT) == 3


@with_both
def test_what_waits_is_what_go_reads(server: Server, original: Original):
    sent = [server.send_task(of("add", n, headers={"trace": "t" * n})) for n in range(3)]
    waiting = original.pending()
    assert [each["UUID"] for each in waiting] == [result.uuid for result in sent]
    assert [each["Headers"] for each in waiting] == [{"trace": "t" * n} for n in range(3)]


@with_both
def test_all_fields_arrive_as_they_were_sent(server: Server, original: Original):
    sent = of(
        "signature", "é <&>\u2028\U0001f600", priority=7, retry_count=3, headers={"a": "1", "é": "<>"}, immutable=True
    )
    with original.worker():
        text = server.send_task(sent).get(TIMEOUT)
    received = decode_signature(text)
    assert (received.args, received.headers) == (sent.args, sent.headers)
    assert (received.priority, received.retry_count, received.immutable) == (7, 3, True)


@with_both
def test_panics_are_failures(server: Server, original: Original):
    with original.worker():
        for name, args, error in [("panic", ("aargh",), "aargh"), ("panic_error", ("no",), "no")]:
            with pytest.raises(TaskFailed, match=error):
                server.send_task(of(name, *args)).get(TIMEOUT)


@with_both
def test_states_of_our_sends_are_read_by_go(server: Server, original: Original):
    group = server.send_group(Group(of("add", 1, 1), of("fail", "no")))
    states = original.states(*[result.uuid for result in group.results])
    assert [(state["TaskName"], state["State"]) for state in states] == [("add", "PENDING"), ("fail", "PENDING")]
    with original.worker():
        wait_until(lambda: all(result.is_completed for result in group.results))
    seen = original.group(group.uuid, 2)
    assert seen["completed"]
    assert [(state["State"], state["Error"]) for state in seen["states"]] == [(SUCCESS, ""), (FAILURE, "no")]
    assert json.loads(json.dumps(seen["states"][0]["Results"])) == [{"Type": "int64", "Value": 2}]
