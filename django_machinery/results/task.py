"""The handle of one task (Go: backends/result/async_result.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from asgiref.sync import sync_to_async

from django_machinery.exceptions import NotCommitted, ResultTimeout, TaskFailed, TaskUnknown
from django_machinery.protocol.go_types import results_from_wire
from django_machinery.results.deadline import Deadline
from django_machinery.results.transactions import still_open

if TYPE_CHECKING:
    from django_machinery.protocol.states import TaskState
    from django_machinery.results.lookup import Lookup
    from django_machinery.seams.backend import ResultBackend

R = TypeVar("R")


class AsyncResult(Generic[R]):
    """A task that was sent: its state, and its result once there is one. Cheap, holds no connection, may be made anew.

    `AsyncResult(uuid)` finds a task that was sent elsewhere or earlier, on the server `server`.
    """

    resolve: ClassVar[Callable[[str], Lookup]]
    """Finds where the states of a server alias are looked up; installed by the handler."""

    def __init__(
        self, uuid: str, server: str = "default", *, lookup: Lookup | None = None, name: str = "", carrier: str = ""
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.carrier = carrier or uuid
        """The UUID of the message that was sent for it: its own, or that of what leads to it."""
        self._server = server
        self._lookup = lookup
        self._sent_in: tuple[str, Any] | None = None

    @property
    def lookup(self) -> Lookup:
        """Where the state is looked up."""
        if self._lookup is None:
            self._lookup = AsyncResult.resolve(self._server)
        return self._lookup

    @property
    def backend(self) -> ResultBackend:
        """The result backend that keeps the state."""
        return self.lookup.backend

    @property
    def task_state(self) -> TaskState:
        """The stored state as a whole. Raises `TaskUnknown` when there is none: never sent, or expired."""
        return self._known(*self.lookup.get([self]))

    @property
    def state(self) -> str:
        """PENDING, RECEIVED, STARTED, RETRY, SUCCESS or FAILURE. Raises `TaskUnknown`."""
        return self.task_state.state

    @property
    def is_completed(self) -> bool:
        """Has it ended, well or badly? Raises `TaskUnknown`."""
        return self.task_state.is_completed

    @property
    def is_success(self) -> bool:
        """Has it ended well? Raises `TaskUnknown`."""
        return self.task_state.is_success

    @property
    def is_failure(self) -> bool:
        """Has it failed? Raises `TaskUnknown`."""
        return self.task_state.is_failure

    def touch(self) -> R | None:
        """The result if the task has ended, else None, without waiting. Raises `TaskFailed` and `TaskUnknown`."""
        state = self.task_state
        return self.value_of(state) if state.is_completed else None

    def get(self, timeout: float | None = 10.0) -> R:
        """Wait up to `timeout` seconds (None: as long as it takes) and return what the task returned.

        No results are None, several a tuple. Raises `TaskFailed` with the remote message, `TaskUnknown`,
        `ResultTimeout`, and `NotCommitted` inside the transaction that sends the task.
        """
        return self.wait(Deadline(timeout))

    def wait(self, deadline: Deadline) -> R:
        """`get` with a time limit that several waits share."""
        self.refuse_uncommitted()
        return self._value_in_time(self._known(*self.lookup.wait([self], deadline)), deadline)

    async def atask_state(self) -> TaskState:
        """`task_state`, for async code."""
        return await sync_to_async(lambda: self.task_state)()

    async def astate(self) -> str:
        """`state`, for async code."""
        return (await self.atask_state()).state

    async def ais_completed(self) -> bool:
        """`is_completed`, for async code."""
        return (await self.atask_state()).is_completed

    async def ais_success(self) -> bool:
        """`is_success`, for async code."""
        return (await self.atask_state()).is_success

    async def ais_failure(self) -> bool:
        """`is_failure`, for async code."""
        return (await self.atask_state()).is_failure

    async def atouch(self) -> R | None:
        """`touch`, for async code."""
        return await sync_to_async(self.touch)()

    async def aget(self, timeout: float | None = 10.0) -> R:
        """`get`, for async code: holds up no other task, and uses no other database connection than they do."""
        return await self.await_(Deadline(timeout))

    async def await_(self, deadline: Deadline) -> R:
        """`wait`, for async code."""
        await self.arefuse_uncommitted()
        return self._value_in_time(self._known(*await self.lookup.await_([self], deadline)), deadline)

    def sent_in(self, alias: str, block: Any | None) -> None:
        """Remember the transaction of the send (`transactions.open_block`)."""
        self._sent_in = None if block is None else (alias, block)

    def sibling(self, uuid: str, name: str) -> AsyncResult[Any]:
        """The handle of another task that was sent together with this one."""
        other = AsyncResult[Any](uuid, self._server, lookup=self._lookup, name=name, carrier=self.carrier)
        other._sent_in = self._sent_in
        return other

    def refuse_uncommitted(self) -> None:
        """Raise `NotCommitted` while the transaction of the send is open in this thread."""
        if self._sent_in is not None and still_open(*self._sent_in):
            raise NotCommitted(
                f"Task {self.uuid} leaves when the transaction around its send commits: get it after that"
            )

    async def arefuse_uncommitted(self) -> None:
        """The same where async code has its transactions."""
        if self._sent_in is not None:
            await sync_to_async(self.refuse_uncommitted)()

    def _known(self, state: TaskState | None) -> TaskState:
        if state is None:
            raise TaskUnknown(f"No task {self.uuid} is known: it was never sent, or its state has expired")
        return state

    def _value_in_time(self, state: TaskState, deadline: Deadline) -> R:
        if not state.is_completed:
            raise ResultTimeout(f"Task {self.uuid} is {state.state} after {deadline.timeout} s")
        return self.value_of(state)

    def value_of(self, state: TaskState) -> R:
        """The result that a final state holds. Raises `TaskFailed`."""
        if state.is_failure:
            raise TaskFailed(state.error, state.task_uuid, state.task_name or self.name)
        return cast(R, results_from_wire(state.results))

    def __repr__(self) -> str:
        return f"<AsyncResult {self.uuid}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.uuid == self.uuid

    def __hash__(self) -> int:
        return hash(self.uuid)
