"""What a task that has ended triggers (go: worker.go:204-393)."""

from datetime import UTC, datetime, timedelta

from msgspec import Raw

from django_machinery.protocol import followups, headers
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import TaskResult

RESULTS = (TaskResult("int64", Raw(b"3")), TaskResult("string", Raw(b'"x"')))


def values(signature: Signature) -> list[bytes]:
    return [bytes(arg.value) for arg in signature.args or ()]


def test_results_go_to_the_end_of_a_success_callback():
    parent = Signature(uuid="u", name="add", on_success=[Signature.of("log", 1, uuid="v")])
    (callback,) = followups.on_success(parent, RESULTS)
    assert callback.uuid == "v"
    assert values(callback) == [b"1", b"3", b'"x"']
    assert [arg.type for arg in callback.args or ()] == ["int64", "int64", "string"]


def test_an_immutable_parent_hands_nothing_on():
    parent = Signature(uuid="u", name="add", immutable=True, on_success=[Signature.of("log", 1)])
    assert values(followups.on_success(parent, RESULTS)[0]) == [b"1"]


def test_an_immutable_callback_still_gets_its_parents_results():
    parent = Signature(uuid="u", name="add", on_success=[Signature.of("log", 1, immutable=True)])
    assert values(followups.on_success(parent, RESULTS)[0]) == [b"1", b"3", b'"x"']


def test_a_callback_without_uuid_gets_the_same_one_each_time():
    parent = Signature(uuid="u", name="add", on_success=[Signature(name="a"), Signature(name="b")])
    first = [callback.uuid for callback in followups.on_success(parent, ())]
    assert first == [callback.uuid for callback in followups.on_success(parent, ())]
    assert len(set(first)) == 2
    assert all(uuid.startswith("task_") for uuid in first)


def test_the_error_comes_before_the_arguments_of_an_error_callback():
    parent = Signature(uuid="u", name="add", immutable=True, on_error=[Signature.of("alarm", 1)])
    (callback,) = followups.error_callbacks(parent, "broken")
    assert (callback.args or ())[0] == Arg(type="string", value=Raw(b'"broken"'))
    assert values(callback) == [b'"broken"', b"1"]


def test_a_chord_callback_gets_its_members_results_in_order():
    callback = Signature.of("total", 1, uuid="c")
    assert values(followups.chord_callback(callback, [RESULTS, (), RESULTS[:1]])) == [b"1", b"3", b'"x"', b"3"]


def test_an_immutable_chord_callback_gets_none():
    callback = Signature.of("total", 1, uuid="c", immutable=True)
    assert values(followups.chord_callback(callback, [RESULTS])) == [b"1"]


def test_everything_below_on_the_success_path_is_abandoned():
    third = Signature(name="third")
    second = Signature(name="second", on_success=[third], on_error=[Signature(name="alarm")])
    lost = followups.abandoned(Signature(uuid="u", name="first", on_success=[second, Signature(name="other")]))
    assert [signature.name for signature in lost] == ["second", "other", "third"]
    assert all(signature.uuid for signature in lost)


def test_abandoned_steps_have_the_uuids_that_they_would_have_been_sent_under():
    parent = Signature(
        uuid="u", name="first", on_success=[Signature(name="second", on_success=[Signature(name="third")])]
    )
    (second,) = followups.on_success(parent, ())
    (third,) = followups.on_success(second, ())
    assert [signature.uuid for signature in followups.abandoned(parent)] == [second.uuid, third.uuid]


def test_a_retry_waits_for_the_next_fibonacci_number_of_seconds():
    signature = Signature(uuid="u", name="add", retry_count=3)
    waits = []
    while signature.retry_count:
        before = datetime.now(UTC)
        signature = followups.again(signature)
        waits.append(signature.retry_timeout)
        assert signature.eta is not None
        late = signature.eta - before - timedelta(seconds=signature.retry_timeout)
        assert timedelta(0) <= late < timedelta(seconds=5)
    assert waits == [1, 2, 3]
    assert signature.uuid == "u"
    assert headers.attempt(signature) == 4


def test_retry_later_uses_up_no_retry_but_its_own_limit():
    signature = Signature(uuid="u", name="add", retry_count=1)
    once = followups.later(signature, timedelta(minutes=5), limit=2)
    assert once is not None
    twice = followups.later(once, timedelta(minutes=5), limit=2)
    assert twice is not None
    assert (once.retry_count, twice.retry_count) == (1, 1)
    assert headers.attempt(twice) == 3
    assert followups.later(twice, timedelta(minutes=5), limit=2) is None
    assert followups.later(twice, timedelta(minutes=5), limit=None) is not None
