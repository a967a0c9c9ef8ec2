"""The fixtures that the topics of the backend contract are written against."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import pytest
from msgspec import Raw

from django_machinery.conf import ServerConfig
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, SUCCESS, TaskResult, TaskState
from django_machinery.seams.backend import ResultBackend, StateChange
from tests.contracts.support import config_with, unique

Group = tuple[str, list[Signature]]
"""A group's UUID and its members."""


class BackendTopic:
    """What a driver supplies, and what the tests of every topic use."""

    wakes_within: ClassVar[float] = 2.0
    """Seconds from a final state to the end of another thread's `wait`."""
    expires_everything: ClassVar[bool] = False
    """Whether the store drops by itself whatever is old, finished or not."""

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> ServerConfig:
        return config_with(**getattr(request, "param", {}))

    @pytest.fixture
    def backend(self, config: ServerConfig) -> ResultBackend:
        """A backend of this configuration."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self, config: ServerConfig) -> ResultBackend:
        """A backend whose store cannot be reached."""
        pytest.skip("a store in memory can always be reached")

    @pytest.fixture(autouse=True)
    def _skip_without_results(self, backend: ResultBackend) -> None:
        if not backend.keeps_results:
            raise SkipTest("keeps_results")  # summed up in one line, where skip() in a fixture gives one a test

    @pytest.fixture
    def sent(self, backend: ResultBackend) -> Callable[..., list[Signature]]:
        def sent(count: int = 1, **fields: Any) -> list[Signature]:
            """Tasks that are PENDING."""
            signatures = [task(**fields) for _ in range(count)]
            assert backend.set_states([StateChange(s, PENDING) for s in signatures]) == [True] * count
            return signatures

        return sent

    @pytest.fixture
    def group(self, backend: ResultBackend) -> Callable[..., Group]:
        def group(count: int, callback: Signature | None = None) -> Group:
            """A group whose members are PENDING."""
            uuid = unique("group")
            members = [task(group_uuid=uuid, group_task_count=count, chord_callback=callback) for _ in range(count)]
            backend.init_group(uuid, [member.uuid for member in members], callback)
            backend.set_states([StateChange(m, PENDING, group_index=i) for i, m in enumerate(members)])
            return uuid, members

        return group


def task(**fields: Any) -> Signature:
    """A new invocation of `add`."""
    return Signature.of("add", 1, 2, **{"uuid": unique("task"), "queue": "math", **fields})


def result(text: str) -> TaskResult:
    """An integer result."""
    return TaskResult(type="int64", value=Raw(text.encode()))


def success(signature: Signature, text: str = "3") -> StateChange:
    return StateChange(signature, SUCCESS, results=(result(text),))


def set_state(backend: ResultBackend, signature: Signature, state: str, **fields: Any) -> bool:
    """Set one state; whether it won."""
    (won,) = backend.set_states([StateChange(signature, state, **fields)])
    return won


def get_state(backend: ResultBackend, signature: Signature) -> TaskState:
    """The state of a task that has one."""
    (state,) = backend.get_states([signature.uuid])
    assert state is not None
    return state


def states_of(backend: ResultBackend, signatures: Sequence[Signature]) -> list[str]:
    return [get_state(backend, signature).state for signature in signatures]
