"""Backend contract: what operators see of all states, and what a task can be sent again from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, STATES, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from tests.contracts.backend_base import BackendTopic, set_state, task
from tests.contracts.support import needs, unique

Sent = Callable[..., list[Signature]]


class Listing(BackendTopic):
    def test_states_are_listed_the_newest_first(self, backend: ResultBackend, sent: Sent):
        needs(backend, "supports_listing")
        uuids = [sent()[0].uuid for _ in range(3)]
        listed = backend.list_states(100)
        assert [state.task_uuid for state in listed if state.task_uuid in uuids] == uuids[::-1]
        assert len(backend.list_states(2)) == 2

    def test_listing_goes_on_before_a_time(self, backend: ResultBackend, sent: Sent):
        needs(backend, "supports_listing")
        (first,) = sent()
        between = datetime.now(UTC)
        (second,) = sent()
        listed = {state.task_uuid for state in backend.list_states(100, before=between)}
        assert first.uuid in listed
        assert second.uuid not in listed

    def test_a_state_and_a_name_narrow_the_list(self, backend: ResultBackend, sent: Sent):
        needs(backend, "supports_listing")
        name = unique("narrowed")
        (waiting,), (failed,), (other,) = sent(name=name), sent(name=name), sent(name=unique("other"))
        for signature in (failed, other):
            set_state(backend, signature, FAILURE, error="no")
        assert [state.task_uuid for state in backend.list_states(2, name=name)] == [failed.uuid, waiting.uuid]
        assert [state.task_uuid for state in backend.list_states(2, None, FAILURE, name)] == [failed.uuid]
        assert waiting.uuid not in {state.task_uuid for state in backend.list_states(1000, state=FAILURE)}

    def test_states_are_counted(self, backend: ResultBackend, sent: Sent):
        needs(backend, "supports_listing")
        before = backend.count_states()
        assert set(before) == set(STATES)
        first, _ = sent(2)
        set_state(backend, first, SUCCESS)
        after = backend.count_states()
        assert {state: after[state] - before[state] for state in STATES} == {
            **dict.fromkeys(STATES, 0),
            PENDING: 1,
            SUCCESS: 1,
        }


class Signatures(BackendTopic):
    def test_invocations_are_kept_as_they_were_sent(self, backend: ResultBackend, sent: Sent):
        first, second = sent(2, on_error=[task()])
        set_state(backend, first, FAILURE, error="no")
        found = backend.signatures([second.uuid, "task_unknown", first.uuid])
        assert found == ([second, None, first] if backend.keeps_signatures else [None] * 3)

    def test_an_invocation_that_is_sent_anew_takes_the_place_of_the_old_one(self, backend: ResultBackend):
        needs(backend, "keeps_signatures")
        old = task()
        set_state(backend, old, SUCCESS)
        new = old.replace(queue="elsewhere")
        backend.set_states([StateChange(new, PENDING)])
        assert backend.signatures([old.uuid]) == [new]
