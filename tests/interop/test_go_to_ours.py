"""Sends of the original, run by a worker of ours: values, workflows, retries, delays, and what Go then reads."""

import json

import pytest

from django_machinery.models import DeadLetter
from django_machinery.server import Server
from tests.databases import on_databases
from tests.interop.conftest import DRIVERS, StartWorker
from tests.interop.go import Original, arg, signature
from tests.interop.values import CONVERTED
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]
everywhere = pytest.mark.parametrize("driver", DRIVERS, indirect=True)
with_both = pytest.mark.parametrize("driver", ["redigo", "go-redis"], indirect=True)


def number(value: int) -> dict[str, object]:
    return arg("int64", value)


@with_both
def test_values_of_every_type_at_their_limits(original: Original, our_worker: StartWorker):
    members = [
        f'{{"Name":"echo_{case.type}","Args":[{{"Type":"{case.type}","Value":{case.raw.decode()}}}]}}'
        for case in CONVERTED
    ]
    with our_worker():
        document = f'{{"kind":"group","wait_ms":20000,"signatures":[{",".join(members)}]}}'
        lines = original.send_text(document)
    assert [line["state"] for line in lines] == ["SUCCESS"] * len(CONVERTED)
    found = [json.dumps(line["results"], ensure_ascii=False) for line in lines]
    expected = [
        json.dumps([{"Type": case.go_type, "Value": json.loads(case.json)}], ensure_ascii=False) for case in CONVERTED
    ]
    assert found == expected


@everywhere
def test_a_task_a_chain_a_group_and_a_chord(original: Original, our_worker: StartWorker):
    with our_worker():
        (task,) = original.send(signature("add", number(1), number(2)))
        assert (task["state"], task["values"]) == ("SUCCESS", ["3"])
        steps = [signature("add", number(1), number(2)), signature("multiply", number(10))]
        chain, *_ = original.send(*steps, kind="chain")
        assert chain["values"] == ["30"]
        members = [signature("multiply", number(n), number(n)) for n in range(1, 5)]
        group = original.send(*members, kind="group")
        assert [line["values"] for line in group] == [["1"], ["4"], ["9"], ["16"]]
        chord, *_ = original.send(*members, kind="chord", callback=signature("add", number(100)))
        assert (chord["values"], chord["error"]) == (["130"], "")


@with_both
def test_several_results_and_none(original: Original, our_worker: StartWorker):
    with our_worker():
        (several,) = original.send(signature("split", arg("string", "a=b"), arg("string", "=")))
        assert several["values"] == ["a", "b", "true"]
        (none,) = original.send(signature("noop"))
        assert (none["state"], none["results"]) == ("SUCCESS", [])


@with_both
def test_an_error_callback_and_a_failure(original: Original, our_worker: StartWorker):
    alarm = signature("record_error", arg("string", "told"), UUID="task_alarm")
    with our_worker():
        (failed,) = original.send(signature("fail", arg("string", "it broke"), OnError=[alarm]))
        assert (failed["state"], failed["error"]) == ("FAILURE", "it broke")
        wait_until(lambda: "State" in original.states("task_alarm")[0])
        wait_until(lambda: original.states("task_alarm")[0]["State"] == "SUCCESS", interval=0.2)
        assert original.states("task_alarm")[0]["Results"] == [{"Type": "string", "Value": "it broke"}]


@with_both
def test_retries_and_delays(original: Original, our_worker: StartWorker):
    with our_worker():
        (retried,) = original.send(signature("fail_times", number(1), RetryCount=2))
        assert retried["values"] == ["2"]
        (later,) = original.send(signature("retry_later", number(50), number(2)))
        assert later["values"] == ["3"]
        (delayed,) = original.send(signature("add", number(1), number(2)), delay_ms=500)
        assert delayed["values"] == ["3"]


@with_both
def test_our_server_lists_what_go_has_sent(original: Original, server: Server, queue: str):
    original.send(signature("add", number(1), UUID="task_now"), wait=0)
    original.send(signature("add", number(2), UUID="task_then"), wait=0, delay_ms=60_000)
    assert [server.decode(each.body).uuid for each in server.broker.pending(queue)] == ["task_now"]
    (delayed,) = [each for each in server.broker.delayed() if each.queue == queue]
    eta = server.decode(delayed.body).eta
    assert delayed.due_at is not None
    assert eta is not None
    assert abs((delayed.due_at - eta).total_seconds()) < 0.001


@with_both
def test_fields_arrive_as_they_were_sent(original: Original, our_worker: StartWorker):
    fields = {"Priority": 7, "RetryCount": 3, "Immutable": True, "Headers": {"a": "1", "n": 5}}
    with our_worker():
        (line,) = original.send(signature("signature", arg("string", "é <&>\u2028"), **fields))
    received = json.loads(line["results"][0]["Value"])
    assert {name: received[name] for name in fields} == fields
    assert received["Args"] == [{"Name": "", **arg("string", "é <&>\u2028")}]


@with_both
def test_a_task_that_is_not_known_and_may_be_ignored_is_taken_off(
    original: Original, server: Server, our_worker: StartWorker, queue: str
):
    with our_worker():
        original.send(signature("nowhere", IgnoreWhenTaskNotRegistered=True), wait=0)
        wait_until(lambda: server.broker.depth(queue) == 0)


def test_what_stops_the_original_for_good_does_not_stop_us(
    original: Original, server: Server, store: RedisStore, our_worker: StartWorker, queue: str
):
    """A message that is none, one that nests without end, arguments that Go panics on: then an ordinary task."""
    client = store.client_of(queue)
    client.rpush(queue, b'{"UUID":', b"[" * 100_000, b"null", b"")
    bad = [signature("sum_ints", arg("[]int64", True)), signature("echo_int8", arg("int8", "text"))]
    with our_worker():
        lines = original.send(*bad, signature("add", number(1), number(2)))
    assert [line["state"] for line in lines] == ["FAILURE", "FAILURE", "SUCCESS"]
    wait_until(lambda: DeadLetter.objects.filter(reason="undecodable").count() >= 3)
    assert server.broker.depth(queue) <= 1  # a message that is null is an empty signature, of a task nobody knows
