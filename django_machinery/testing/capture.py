"""What was sent: `captured_tasks` records it, by the signal `task_sent`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, overload

from django_machinery.declare import Sendable
from django_machinery.protocol.go_types import from_wire
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.registry import tasks
from django_machinery.signals import task_sent

TaskOrName = Sendable[..., Any] | str


@dataclass(frozen=True, slots=True)
class SentTask:
    """One send: of a task, a member or a first step of a workflow, a follow-up or a retry."""

    server: str
    signature: Signature

    @property
    def name(self) -> str:
        return self.signature.name

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments as Python values."""
        return tuple(from_wire(arg.type, arg.value) for arg in self.signature.args or () if not arg.name)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments as Python values."""
        return {arg.name: from_wire(arg.type, arg.value) for arg in self.signature.args or () if arg.name}

    def __str__(self) -> str:
        named = [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.name}({', '.join([*map(repr, self.args), *named])}) to {self.signature.queue}"


class Outbox(Sequence[SentTask]):
    """What was sent since the capture began, in order: also what a transaction that is still open holds back."""

    def __init__(self) -> None:
        self._sent: list[SentTask] = []

    @overload
    def __getitem__(self, index: int) -> SentTask: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentTask]: ...
    def __getitem__(self, index: int | slice) -> SentTask | Sequence[SentTask]:
        return self._sent[index]

    def __len__(self) -> int:
        return len(self._sent)

    def clear(self) -> None:
        """Forget what was sent so far."""
        self._sent.clear()

    def sent(
        self,
        task: TaskOrName,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> list[SentTask]:
        """The sends of one task; with `args` or `kwargs` those of just this call, with `fields` those whose signature
        has these values: `queue="slow"`, `priority=5`."""
        name = task if isinstance(task, str) else task.name
        found = [sent for sent in self._sent if sent.name == name]
        if args is not None or kwargs is not None:
            expected = _wire_args(name, args or (), kwargs or {})
            found = [sent for sent in found if (sent.signature.args or ()) == expected]
        return [sent for sent in found if all(getattr(sent.signature, key) == fields[key] for key in fields)]

    def assert_sent(
        self,
        task: TaskOrName,
        times: int | None = None,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> list[SentTask]:
        """Fail unless there were such sends, as for `sent`: just `times` of them, or any number. Returns them."""
        found = self.sent(task, args=args, kwargs=kwargs, **fields)
        if len(found) != times if times is not None else not found:
            wanted = task if isinstance(task, str) else task.name
            wanted_times = "once or more" if times is None else times
            raise AssertionError(
                f"{wanted} was sent {len(found)} times as asked for, not {wanted_times}. Sent were:\n"
                + ("\n".join(f"  {sent}" for sent in self._sent) or "  no tasks")
            )
        return found

    def assert_not_sent(self, task: TaskOrName, **asked: Any) -> None:
        """Fail if there was such a send."""
        self.assert_sent(task, 0, **asked)

    def record(self, sender: object, server: str, signature: Signature, **_: Any) -> None:
        """A receiver of `task_sent`."""
        self._sent.append(SentTask(server, signature))


_open: list[Outbox] = []


@contextmanager
def captured_tasks() -> Iterator[Outbox]:
    """Record what any thread of this process sends while the block runs. It is sent all the same."""
    outbox = Outbox()
    task_sent.connect(outbox.record, weak=False)
    _open.append(outbox)
    try:
        yield outbox
    finally:
        _open.remove(outbox)
        task_sent.disconnect(outbox.record)


def assert_sent(task: TaskOrName, times: int | None = None, **asked: Any) -> list[SentTask]:
    """`Outbox.assert_sent` of the innermost `captured_tasks`, or of the fixture. Raises RuntimeError outside of one."""
    return _innermost().assert_sent(task, times, **asked)


def assert_not_sent(task: TaskOrName, **asked: Any) -> None:
    """`Outbox.assert_not_sent`, found as by `assert_sent`."""
    _innermost().assert_not_sent(task, **asked)


def _innermost() -> Outbox:
    if not _open:
        raise RuntimeError("Nothing records what is sent: use captured_tasks() or the fixture machinery_outbox.")
    return _open[-1]


def _wire_args(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Arg, ...]:
    definition = tasks.find(name)
    if definition is not None:
        return definition.parameters.to_args(args, kwargs, partial=True)
    return (*map(Arg.of, args), *(Arg.of(value, name=key) for key, value in kwargs.items()))
