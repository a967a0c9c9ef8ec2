"""Backend contract: groups, chords, and what is deleted."""

from collections.abc import Callable
from functools import partial

import pytest

from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, RETRY, STARTED, SUCCESS
from django_machinery.seams.backend import GroupProgress, ResultBackend, StateChange
from tests.contracts.backend_base import BackendTopic, Group, get_state, result, set_state, success, task
from tests.contracts.support import race, unique
from tests.waiting import wait_until

MakeGroup = Callable[..., Group]


class Groups(BackendTopic):
    def test_a_group_has_its_members_in_order(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(5)
        meta = backend.get_group(uuid)
        assert meta is not None
        assert meta.group_uuid == uuid
        assert meta.task_uuids == tuple(member.uuid for member in members)
        assert not meta.chord_triggered

    def test_an_unknown_group_is_none(self, backend: ResultBackend):
        unknown = unique("group")
        assert backend.get_group(unknown) is None
        assert backend.group_progress(unknown) is None
        assert not backend.group_completed(unknown, 1)

    def test_progress_counts_the_members_that_are_final(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(4)
        assert backend.group_progress(uuid) == GroupProgress(0, 0, 4)
        backend.set_states([StateChange(members[0], STARTED), StateChange(members[1], RETRY)])
        assert backend.group_progress(uuid) == GroupProgress(0, 0, 4)
        backend.set_states([success(members[0]), StateChange(members[1], FAILURE, error="no")])
        assert backend.group_progress(uuid) == GroupProgress(2, 1, 4)
        assert not backend.group_completed(uuid, 4)
        backend.set_states([success(members[2]), success(members[3])])
        assert backend.group_progress(uuid) == GroupProgress(4, 1, 4)
        assert backend.group_completed(uuid, 4)

    def test_a_member_that_comes_again_is_counted_once(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(2)
        assert backend.set_states([success(members[0])]) == [True]
        assert backend.set_states([success(members[0])]) == [False]
        assert backend.set_states([StateChange(members[0], FAILURE, error="late")]) == [False]
        assert backend.group_progress(uuid) == GroupProgress(1, 0, 2)
        assert not backend.group_completed(uuid, 2)

    def test_the_states_of_the_members_come_in_their_order(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(6)
        for index in (3, 0, 5, 1, 4, 2):
            backend.set_states([success(members[index], str(index))])
        states = backend.group_task_states(uuid, 6)
        assert [state.results for state in states] == [(result(str(i)),) for i in range(6)]

    def test_members_that_finish_at_the_same_instant_are_all_counted(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(8)
        race([partial(backend.set_states, [success(member)]) for member in members])
        assert backend.group_progress(uuid) == GroupProgress(8, 0, 8)

    def test_large_groups_are_counted(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(500)
        for start in range(0, 500, 100):
            backend.set_states([success(member) for member in members[start : start + 100]])
        assert backend.group_progress(uuid) == GroupProgress(500, 0, 500)
        assert len(backend.group_task_states(uuid, 500)) == 500

    def test_a_purged_group_is_gone_but_not_its_members(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(2)
        backend.set_states([success(members[0])])
        backend.purge_group(uuid)
        assert backend.get_group(uuid) is None
        assert get_state(backend, members[0]).is_success
        backend.purge_group(uuid)


class Chords(BackendTopic):
    def test_one_member_triggers_the_chord_and_may_do_so_again(self, backend: ResultBackend, group: MakeGroup):
        uuid, (first, second) = group(2, callback=task())
        assert backend.trigger_chord(uuid, second.uuid)
        assert not backend.trigger_chord(uuid, first.uuid)
        assert backend.trigger_chord(uuid, second.uuid)
        meta = backend.get_group(uuid)
        assert meta is not None
        assert meta.chord_triggered

    def test_of_members_that_race_one_triggers(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(6, callback=task())
        triggers = [partial(backend.trigger_chord, uuid, member.uuid) for member in members]
        assert race(triggers).count(True) == 1

    def test_of_two_last_members_at_the_same_instant_one_triggers(self, backend: ResultBackend, group: MakeGroup):
        for _ in range(10):
            uuid, members = group(2, callback=task())

            def finish(member: Signature, uuid: str = uuid) -> bool:
                backend.set_states([success(member)])
                return backend.group_completed(uuid, 2) and backend.trigger_chord(uuid, member.uuid)

            assert race([partial(finish, member) for member in members]).count(True) == 1

    def test_an_unknown_group_triggers_nothing(self, backend: ResultBackend):
        assert not backend.trigger_chord(unique("group"), unique("task"))


# On each test, for a mark on the class would be inherited by the whole contract.
short_lived = pytest.mark.parametrize("config", [{"results_expire_in": 1}], indirect=True, ids=["1 s"])


class Expiry(BackendTopic):
    @short_lived
    def test_a_result_expires(self, backend: ResultBackend):
        signature = task()
        backend.set_states([success(signature)])

        def gone() -> bool:
            backend.expire()
            return backend.get_states([signature.uuid]) == [None]

        wait_until(gone)

    @short_lived
    def test_a_group_expires_with_its_members_once_it_is_settled(self, backend: ResultBackend, group: MakeGroup):
        uuid, members = group(2, callback=task())
        backend.set_states([success(member) for member in members])
        assert backend.trigger_chord(uuid, members[0].uuid)

        def gone() -> bool:
            backend.expire()
            states = backend.get_states([member.uuid for member in members])
            return states == [None, None] and backend.get_group(uuid) is None

        wait_until(gone)

    @short_lived
    def test_what_is_not_settled_is_spared(self, backend: ResultBackend, group: MakeGroup):
        if self.expires_everything:
            pytest.skip("expires_everything")
        pending = task()
        set_state(backend, pending, PENDING)
        _, members = group(2, callback=task())
        backend.set_states([success(members[0])])
        old = task()
        backend.set_states([success(old)])

        def old_is_gone() -> bool:
            backend.expire()
            return backend.get_states([old.uuid]) == [None]

        wait_until(old_is_gone)
        states = backend.get_states([pending.uuid, members[0].uuid, members[1].uuid])
        assert [state and state.state for state in states] == [PENDING, SUCCESS, PENDING]


class Upkeep(BackendTopic):
    def test_a_closed_backend_may_be_used_again(self, backend: ResultBackend):
        signature = task()
        backend.close()
        assert backend.set_states([success(signature)]) == [True]
        assert get_state(backend, signature).is_success

    def test_checks_are_a_list_of_messages(self, backend: ResultBackend):
        assert [message for message in backend.check() if message.is_serious()] == []
