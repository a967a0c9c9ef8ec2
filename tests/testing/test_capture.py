"""What `captured_tasks` records and what its assertions say."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from django_machinery import Chain, Chord, Group, send_chain, send_chord, send_group, send_task
from django_machinery.pytest_plugin import machinery_outbox
from django_machinery.testing import Outbox, assert_not_sent, assert_sent, captured_tasks
from tests.app.tasks import add, concat, fail, greet, noop, record_all, total
from tests.testing.servers import eager, push

__all__ = ["machinery_outbox"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _eager() -> Iterator[None]:
    with override_settings(MACHINERY={"default": eager()}):
        yield


def test_what_is_sent_in_the_block_is_recorded_in_order():
    noop.send()
    with captured_tasks() as sent:
        add.send(1, 2)
        greet.using(queue="slow").send("Ada", marks=3)
    noop.send()
    assert [(each.name, each.args, each.kwargs) for each in sent] == [
        (add.name, (1, 2), {}),
        (greet.name, ("Ada",), {"marks": 3}),
    ]
    assert str(sent[1]) == "tests.app.tasks.greet('Ada', marks=3) to slow"
    assert [each.server for each in sent[:]] == ["default", "default"]


def test_members_follow_ups_and_steps_are_recorded_when_they_are_sent():
    with captured_tasks() as sent:
        send_group(Group(add.signature(1, 1), add.signature(2, 2)))
        send_chord(Chord(Group(add.signature(3, 3)), total.partial()))
        send_chain(Chain(add.signature(4, 4), total.partial(5)))
    sent.assert_sent(add, 4)
    sent.assert_sent(total, args=[6])
    sent.assert_sent(total, args=[5, 8])


def test_assertions_look_at_the_call_and_at_the_signature():
    with captured_tasks() as sent:
        add.send(1, 2)
        add.using(queue="slow", priority=5).send(1, 2)
        greet.send("Ada", greeting="bye")
        with override_settings(MACHINERY={"default": push()}):
            send_task("elsewhere", args=[1, "x"], queue="go")
    assert len(sent.assert_sent(add, 2, args=[1, 2])) == 2
    (slow,) = sent.assert_sent(add, 1, queue="slow", priority=5)
    assert slow.signature.queue == "slow"
    sent.assert_sent(greet, kwargs={"greeting": "bye"}, args=["Ada"])
    sent.assert_not_sent(greet, args=["Ada"])
    sent.assert_sent("elsewhere", args=[1, "x"])
    sent.assert_not_sent(noop)
    sent.assert_not_sent(add, args=[2, 1])


def test_a_failed_assertion_shows_what_was_sent():
    with captured_tasks() as sent:
        add.send(1, 2)
    with pytest.raises(AssertionError, match=r"add was sent 1 times as asked for, not 2\. Sent were:\n.*add\(1, 2\)"):
        sent.assert_sent(add, 2)
    with pytest.raises(AssertionError, match="noop was sent 0 times as asked for, not once or more"):
        sent.assert_sent(noop)
    with pytest.raises(AssertionError, match="not 0"):
        sent.assert_not_sent(add)
    sent.clear()
    with pytest.raises(AssertionError, match="no tasks"):
        sent.assert_sent(add)


def test_the_functions_look_at_the_innermost_capture():
    with captured_tasks() as outer:
        noop.send()
        with captured_tasks():
            add.send(1, 2)
            assert_sent(add, 1)
            assert_not_sent(noop)
        assert_sent(noop)
        assert len(outer) == 2
    with pytest.raises(RuntimeError, match="machinery_outbox"):
        assert_sent(add)


def test_the_fixture_records_the_whole_test(machinery_outbox: Outbox):
    concat.send("a", "b")
    machinery_outbox.assert_sent(concat, 1, args=["a", "b"])
    assert_sent(concat)


def test_error_callbacks_are_recorded(machinery_outbox: Outbox):
    fail.using(on_error=[record_all.signature()]).send("broken")
    machinery_outbox.assert_sent(record_all, args=["broken"])
