"""What leaves when: transactions, handles, workflows, the outbox. On the ORM store and on one that cannot join."""

import pytest
from django.db import transaction

from django_machinery import Chain, Chord, Group, NotCommitted, Signature, TaskUnknown, servers, signals
from django_machinery.exceptions import EncodeError
from django_machinery.models import GroupMeta, Message, TaskState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server():
    return servers["default"]


def names() -> list[str]:
    return list(Message.objects.order_by("id").values_list("name", flat=True))


def test_a_task_is_a_message_and_a_pending_state(server):
    result = server.send_task(Signature.of("add", 1, 2))
    assert result.uuid.startswith("task_")
    assert result.state == "PENDING"
    assert names() == ["add"]
    (waiting,) = server.broker.pending("machinery_tasks")
    assert server.decode(waiting.body).queue == "machinery_tasks"


def test_a_signature_can_be_sent_twice_and_stays_as_it_was(server):
    signature = Signature.of("add", 1, 2)
    assert server.send_task(signature).uuid != server.send_task(signature).uuid
    assert signature.uuid == ""


def test_a_task_of_a_rolled_back_transaction_was_never_sent(server):
    with transaction.atomic():
        result = server.send_task(Signature.of("add", 1, 2))
        transaction.set_rollback(True)
    assert names() == []
    with pytest.raises(TaskUnknown):
        result.get(timeout=0)


def test_a_result_is_refused_inside_the_transaction_of_its_send(server):
    with transaction.atomic():
        result = server.send_task(Signature.of("add", 1, 2))
        chord = server.send_chord(Chord(Group(Signature(name="a")), Signature(name="b")))
        for handle in (result, chord, chord.group):
            with pytest.raises(NotCommitted):
                handle.get()
    with pytest.raises(TimeoutError):
        result.get(timeout=0)


def test_an_unknown_task_is_an_error_not_a_wait(server):
    from django_machinery import AsyncResult

    with pytest.raises(TaskUnknown, match="task_0"):
        AsyncResult("task_0").get(timeout=None)


def test_the_steps_of_a_chain_are_known_from_the_start(server):
    chain = server.send_chain(Chain(Signature.of("add", 1, 2), Signature.of("log"), Signature.of("log")))
    assert names() == ["add"]
    assert [step.state for step in chain.results] == ["PENDING"] * 3
    assert chain.uuid == chain.results[-1].uuid
    assert chain.progress == (0, 3)
    parents = dict(TaskState.objects.values_list("uuid", "parent_uuid"))
    assert parents[chain.results[1].uuid] == chain.results[0].uuid
    assert parents[chain.results[2].uuid] == chain.results[1].uuid


def test_a_chain_beyond_the_nesting_bound_is_refused_before_anything_is_written(server):
    with pytest.raises(EncodeError):
        server.send_chain(Chain(*[Signature(name="step")] * 201))
    assert names() == []
    assert not TaskState.objects.exists()


def test_a_group_is_stored_with_its_members(server):
    group = server.send_group(Group(*[Signature.of("add", i, i) for i in range(5)]), send_concurrency=2)
    assert names() == ["add"] * 5
    assert (group.progress.done, group.progress.failed, group.progress.total) == (0, 0, 5)
    indexes = dict(TaskState.objects.values_list("uuid", "group_index"))
    assert [indexes[member.uuid] for member in group.results] == [0, 1, 2, 3, 4]
    assert not group.is_completed


def test_a_group_without_members_is_complete_at_once(server):
    assert server.send_group(Group()).get(timeout=0) == []


def test_a_chord_keeps_its_callback_for_later(server):
    chord = server.send_chord(Chord(Group(Signature(name="a"), Signature(name="b")), Signature(name="total")))
    assert names() == ["a", "b"]
    assert chord.callback.state == "PENDING"
    assert GroupMeta.objects.get().callback_uuid == chord.uuid
    for waiting in server.broker.pending("machinery_tasks"):
        member = server.decode(waiting.body)
        assert (member.group_uuid, member.group_task_count) == (chord.group.uuid, 2)
        assert member.chord_callback.uuid == chord.uuid


def test_a_chord_without_members_sends_its_callback(server):
    server.send_chord(Chord(Group(), Signature(name="total")))
    assert names() == ["total"]


def test_a_message_over_the_brokers_limit_is_refused_before_anything_is_written(server):
    with pytest.raises(EncodeError, match="the limit is"):
        server.send_task(Signature.of("store", "x" * server.config.max_message_bytes))
    assert names() == []
    assert not TaskState.objects.exists()


def test_the_pre_publish_handler_may_replace_what_is_sent(server):
    server.set_pre_publish_handler(lambda signature: signature.replace(headers={"tenant": "a"}))
    try:
        server.send_task(Signature.of("add", 1, 2))
    finally:
        server.set_pre_publish_handler(None)
    assert server.decode(server.broker.pending("machinery_tasks")[0].body).headers == {"tenant": "a"}


def test_each_send_is_signalled_once(server):
    sent = []

    def remember(sender, *, signature, **_):
        sent.append(signature.name)

    signals.task_sent.connect(remember)
    try:
        server.send_group(Group(Signature(name="a"), Signature(name="b")))
    finally:
        signals.task_sent.disconnect(remember)
    assert sent == ["a", "b"]


def test_a_task_can_be_registered_on_one_server_alone(server):
    server.register_task("only_here", len)
    try:
        assert server.get_registered_task("only_here").func is len
        assert server.is_task_registered("only_here")
        assert "only_here" in server.get_registered_task_names()
    finally:
        servers.close_all()
    assert not servers["default"].is_task_registered("only_here")


@pytest.mark.parametrize("fields", [{"priority": 300}, {"queue": 5}, {"immutable": "x"}, {"retry_count": 2**70}])
def test_what_no_worker_could_read_is_refused_before_anything_is_written(server, fields):
    bad = Signature(name="add", **fields)
    with pytest.raises(EncodeError, match=next(iter(fields))):
        server.send_task(bad)
    with pytest.raises(EncodeError):
        server.send_group(Group(Signature(name="add"), Signature(name="add", on_success=[bad])))
    assert names() == []
    assert not TaskState.objects.exists()


def test_a_task_of_the_same_uuid_twice_in_a_workflow_is_refused_before_anything_is_written(server):
    twins = Group(Signature(name="a", uuid="twin"), Signature(name="b", uuid="twin"))
    for send in (lambda: server.send_group(twins), lambda: server.send_chord(Chord(twins, Signature(name="c")))):
        with pytest.raises(EncodeError, match="'twin'"):
            send()
    assert names() == []
    assert not TaskState.objects.exists()
    assert not GroupMeta.objects.exists()
