"""Chains, groups, chords, and the UUIDs of what they are made of."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from django_machinery.exceptions import EncodeError
from django_machinery.protocol import headers
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.workflows import (
    Chain,
    Chord,
    Group,
    chord_members,
    complete,
    deterministic_uuid,
    link,
    members,
    remint,
    with_follow_up_uuids,
)

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
UUID5 = UUID7.replace("-7", "-5")


def step(name: str, **fields) -> Signature:
    return Signature(name=name, **fields)


def parent(**fields) -> Any:
    """A task with a callback of each kind, and one in a callback."""
    inner = step("inner", on_success=[step("innermost")])
    return Signature(
        uuid="task_1",
        name="a",
        on_success=[None, inner],
        on_error=[step("alarm")],
        chord_callback=step("total"),
        **fields,
    )


def test_a_step_carries_the_steps_after_it():
    first, second, third = link(Chain(step("a"), step("b"), step("c")))
    assert first.on_success == (second,)
    assert second.on_success == (third,)
    assert third.on_success is None
    assert [s.headers for s in (first, second, third)] == [{}, None, None]


def test_the_steps_of_a_chain_have_uuids_of_their_own():
    uuids = [signature.uuid for signature in link(Chain(step("a"), step("b", uuid="given"), step("b")))]
    assert uuids[1] == "given"
    for uuid in (uuids[0], uuids[2]):
        assert_uuid(uuid, "task_", UUID7)
    assert len(set(uuids)) == 3


def assert_uuid(text: str, prefix: str, pattern: str) -> None:
    assert re.fullmatch(prefix + pattern, text), text


def test_a_steps_own_callbacks_run_beside_the_next_step():
    first, second = link(Chain(step("a", on_success=[step("log")]), step("b")))
    assert first.success_callbacks == (second, step("log"))


def test_an_empty_chain_has_no_steps():
    assert link(Chain()) == ()


def test_a_chain_of_more_than_200_steps_is_refused():
    assert len(link(Chain(*[step("a")] * 200))) == 200
    with pytest.raises(EncodeError, match="201 steps"):
        link(Chain(*[step("a")] * 201))


def test_members_share_a_new_group():
    group = Group(step("a"), step("b", uuid="given", headers={"h": "1"}))
    once, again = members(group), members(group)
    assert {(m.group_uuid, m.group_task_count) for m in once} == {(once[0].group_uuid, 2)}
    assert_uuid(once[0].group_uuid, "group_", UUID7)
    assert once[0].group_uuid != again[0].group_uuid
    assert [m.headers for m in once] == [{}, {"h": "1"}]
    assert once[1].uuid == "given"
    assert once[0].uuid != again[0].uuid


def test_each_member_of_a_chord_carries_the_callback():
    callback, group = chord_members(Chord(Group(step("a"), step("b")), step("total")))
    assert [member.chord_callback for member in group] == [callback, callback]
    assert_uuid(callback.uuid, "chord_", UUID7)
    assert callback.headers == {}


def test_a_chords_error_callbacks_are_its_callbacks():
    own, chords = step("own"), step("chords")
    callback, group = chord_members(Chord(Group(step("a")), step("total", on_error=[own]), on_error=[chords]))
    assert callback.error_callbacks == (own, chords)
    assert group[0].on_error is None
    assert chord_members(Chord(Group(step("a")), step("total")))[0].on_error is None


def test_what_a_user_gives_is_never_changed():
    a, b, c = step("a"), step("b"), step("c")
    before = [signature.replace() for signature in (a, b, c)]
    chain, group, chord = Chain(a, b), Group(a, b), Chord(Group(a, b), c, on_error=[a])
    assert link(chain) != link(chain)
    assert members(group) != members(group)
    assert chord_members(chord) != chord_members(chord)
    assert [a, b, c] == before


def test_a_message_is_completed_all_the_way_down():
    ready: Any = complete(parent(), "queue")
    inner = ready.success_callbacks[0]
    uuids = [inner.uuid, inner.success_callbacks[0].uuid, ready.error_callbacks[0].uuid, ready.chord_callback.uuid]
    for uuid in uuids:
        assert_uuid(uuid, "task_", UUID5)
    assert len(set(uuids)) == 4
    assert (ready.uuid, ready.queue, ready.headers) == ("task_1", "queue", {})
    assert ready.on_success[0] is None
    assert complete(ready, "other") is ready


def test_a_message_without_uuid_gets_one_and_keeps_its_queue():
    ready = complete(step("a", queue="mine"), "queue")
    assert_uuid(ready.uuid, "task_", UUID7)
    assert ready.queue == "mine"


def test_callbacks_that_nest_too_deep_to_walk_are_an_encode_error():
    signature = step("a")
    for _ in range(5000):
        signature = step("a", on_success=[signature])
    with pytest.raises(EncodeError, match="deep"):
        complete(signature, "queue")


def test_a_missing_uuid_is_derived_from_parent_and_position():
    filled: Any = with_follow_up_uuids(parent())
    assert [each and each.uuid for each in filled.on_success] == [None, deterministic_uuid("task_1", "OnSuccess/1")]
    assert filled.on_error[0].uuid == deterministic_uuid("task_1", "OnError/0")
    assert filled.chord_callback.uuid == deterministic_uuid("task_1", "ChordCallback")
    assert filled == with_follow_up_uuids(parent())
    assert filled.on_success[1].on_success[0].uuid == "", "one level only"


def test_derived_uuids_never_change():
    """Another one would run follow-ups twice when workers of two versions meet the same crash."""
    assert deterministic_uuid("task_1", "OnSuccess/0") == "task_a52f2399-e0cb-5c42-9460-68206ebc6716"


def test_filling_one_level_after_the_other_is_completing():
    ready: Any = complete(parent(), "queue")
    inner = with_follow_up_uuids(with_follow_up_uuids(parent()).success_callbacks[0])
    assert inner == ready.success_callbacks[0]


def test_a_wanted_rerun_has_its_uuid_and_new_ones_for_all_it_triggers():
    ready: Any = complete(parent(), "queue")
    again: Any = remint(ready)
    assert again.uuid == ready.uuid
    for old, new in zip(below(ready), below(again), strict=True):
        assert old.name == new.name
        assert old.uuid != new.uuid
    assert_uuid(again.chord_callback.uuid, "chord_", UUID7)


def below(signature: Signature) -> list[Signature]:
    return [each for callback in signature.callbacks for each in (callback, *below(callback))]


def test_a_wanted_rerun_counts_anew():
    used = headers.with_later_count(headers.with_attempt(step("a", headers={"own": "1"}), 4), 2)
    again: Any = remint(remint(used))
    assert (headers.generation(again), headers.attempt(again), headers.later_count(again)) == (2, 1, 0)
    assert again.headers["own"] == "1"
    assert headers.generation(used) == 0


def test_two_tasks_of_one_uuid_are_refused_and_named():
    twin, other = step("a", uuid="twin"), step("other")
    sends: dict[str, list[Callable[[], Any]]] = {
        "chain": [lambda: link(Chain(twin, other, twin.replace(name="b")))],
        "group": [lambda: members(Group(twin, other, twin.replace(name="b")))],
        "chord": [
            lambda: chord_members(Chord(Group(twin, twin), other)),
            lambda: chord_members(Chord(Group(other, twin), twin)),
        ],
    }
    for kind, all_sends in sends.items():
        for send in all_sends:
            with pytest.raises(EncodeError, match=f"two tasks of a {kind} have the UUID 'twin'"):
                send()


def test_what_is_no_signature_is_told_what_is_one():
    one = step("a")
    odd: list[Any] = [[one], len, "a", Group(one), Chord(Group(one), one)]
    for other in odd:
        for make, given in ((Chain, (one, other)), (Group, (other,)), (Chord, (Group(one), other))):
            with pytest.raises(TypeError, match="is no signature"):
                make(*given)
    with pytest.raises(TypeError, match="a Group and a signature"):
        Chord(cast(Any, [one]), one)
