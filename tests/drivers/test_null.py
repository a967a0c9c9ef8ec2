"""`null://`: everything is accepted, nothing is kept, and who waits is told."""

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.null.backend import NullBackend
from django_machinery.exceptions import BackendError
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import ResultBackend, StateChange
from tests.contracts.backend import BackendContract
from tests.contracts.backend_base import success, task
from tests.contracts.support import config_with


class TestNullBackend(BackendContract):
    @pytest.fixture
    def backend(self, config: ServerConfig) -> ResultBackend:
        return NullBackend("null://", config)


@pytest.fixture
def backend() -> NullBackend:
    return NullBackend("null://", config_with())


def test_every_state_is_accepted_and_none_is_kept(backend: NullBackend):
    signature = task()
    assert backend.set_states([StateChange(signature, PENDING), success(signature)]) == [True, True]
    assert backend.get_states([signature.uuid]) == [None]
    backend.purge([signature.uuid])


def test_waiting_is_an_error_at_once(backend: NullBackend):
    with pytest.raises(BackendError, match="keeps no results"):
        backend.wait(["task_1"], 60)


def test_a_group_runs_unobserved(backend: NullBackend):
    backend.init_group("group_1", ["task_1", "task_2"])
    assert backend.get_group("group_1") is None
    assert backend.group_progress("group_1") is None
    assert backend.group_task_states("group_1", 2) == []
    assert not backend.group_completed("group_1", 2)
    backend.purge_group("group_1")


def test_a_chord_is_refused_because_its_callback_would_never_run(backend: NullBackend):
    with pytest.raises(BackendError, match="callback would never run"):
        backend.init_group("group_1", ["task_1"], task())
    assert not backend.trigger_chord("group_1", "task_1")
