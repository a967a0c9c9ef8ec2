"""One invocation of a task as data (tasks/signature.go:12-72): frozen, in Go's field order, with Go's null rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

import msgspec
from msgspec import Raw

from django_machinery.exceptions import EncodeError
from django_machinery.protocol.go_types import to_wire
from django_machinery.protocol.names import go_name
from django_machinery.protocol.times import canonical_time, format_time, parse_time
from django_machinery.protocol.type_table import Int64, Uint8


class Arg(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename=go_name):
    """An argument: `value` is the JSON text that travels, `type` the name of the Go type that it stands for."""

    name: str = ""
    type: str = ""
    value: Raw = Raw(b"null")

    @classmethod
    def of(cls, value: Any, annotation: Any = None, name: str = "") -> Self:
        """The argument for a Python value, typed as `go_types.to_wire` does. EncodeError if it has no form."""
        return cls(name, *to_wire(value, annotation))


class SignatureFields(TypedDict, total=False):
    """What the constructor of `Signature` takes."""

    uuid: str
    name: str
    queue: str
    eta_text: str | None
    group_uuid: str
    group_task_count: int
    args: Iterable[Any] | None
    headers: Mapping[str, Any] | None
    priority: int
    immutable: bool
    retry_count: int
    retry_timeout: int
    on_success: Iterable[Signature | None] | None
    on_error: Iterable[Signature | None] | None
    chord_callback: Signature | None
    broker_message_group_id: str
    sqs_receipt_handle: str
    stop_task_deletion_on_error: bool
    ignore_when_task_not_registered: bool


class SignatureChanges(SignatureFields, total=False):
    """What `Signature.replace` and `Signature.of` take: the fields, and eta as a datetime or a delay from now."""

    eta: datetime | timedelta | None


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=go_name):
    """One invocation of a task. `Signature.of("add", 1, 2, queue="math")` makes one of Python values.

    The constructor takes the fields by name; `args` may hold Python values, which become `Arg`s, and the lists of
    signatures may be any iterable. None and () differ on the wire (null and []), and so do they here. What the plain
    fields hold is looked at by `replace`, `of` and every send, and not by the constructor, which runs for each message
    that is decoded.
    """

    uuid: str = ""
    name: str = ""
    queue: str = ""
    """RoutingKey on the wire. Empty: the default queue of the server that sends it."""
    eta_text: str | None = None
    """When to run, as Go writes it, to the nanosecond; `eta` has it as a datetime."""
    group_uuid: str = ""
    group_task_count: Int64 = 0
    args: tuple[Arg, ...] | None = None
    headers: dict[str, Any] | None = None
    """Values should be strings: a Go worker cannot send a numeric AMQP header on. A number whose text Python would not
    write again is kept as msgspec.Raw."""
    priority: Uint8 = 0
    immutable: bool = False
    """Parent's results are not appended to the arguments of its success callbacks; on a chord callback, to its own."""
    retry_count: Int64 = 0
    retry_timeout: Int64 = 0
    """Seconds until the last retry; the next waits for the following Fibonacci number."""
    on_success: tuple[Signature | None, ...] | None = None
    """Go can write null for a callback; `success_callbacks` leaves those out."""
    on_error: tuple[Signature | None, ...] | None = None
    chord_callback: Signature | None = None
    broker_message_group_id: str = ""
    sqs_receipt_handle: str = ""
    stop_task_deletion_on_error: bool = False
    ignore_when_task_not_registered: bool = False

    if TYPE_CHECKING:

        def __init__(self, **fields: Unpack[SignatureFields]) -> None: ...

    def __post_init__(self) -> None:
        if self.args is not None and not _is_typed(self.args):
            msgspec.structs.force_setattr(self, "args", _typed(self.args))
        if self.on_success is not None and type(self.on_success) is not tuple:
            msgspec.structs.force_setattr(self, "on_success", _signatures(self.on_success))
        if self.on_error is not None and type(self.on_error) is not tuple:
            msgspec.structs.force_setattr(self, "on_error", _signatures(self.on_error))

    @classmethod
    def of(cls, name: str, /, *values: Any, **fields: Unpack[SignatureChanges]) -> Self:
        """A signature for the task of that name with these Python values as arguments, and other fields by name.

        Raises EncodeError for a value that has no form on the wire, and as `replace` does.
        """
        signature = cls(name=name, args=tuple(map(Arg.of, values)))
        return signature.replace(**fields) if fields else signature

    def replace(self, **changes: Unpack[SignatureChanges]) -> Self:
        """A copy with other fields. `eta` is an aware datetime, a timedelta from now, or None.

        Raises EncodeError for a naive eta and for a value that the field cannot hold.
        """
        fields: dict[str, Any] = {**changes}
        if "eta" in fields:
            fields["eta_text"] = _eta_text(fields.pop("eta"))
        for name, value in fields.items():
            if name in _SCALARS:
                _refuse_other(name, value)
            elif name in _CONTAINERS and value is not None:
                fields[name] = _CONTAINERS[name](value)
        return msgspec.structs.replace(self, **fields)

    def check(self) -> None:
        """Raise EncodeError unless a message of this signature can be read again: the types of all fields, at all
        levels. Values and headers are looked at as they are written."""
        waiting = [self]
        while waiting:
            signature = waiting.pop()
            signature._check_fields()
            waiting += signature.callbacks

    def _check_fields(self) -> None:
        values = _scalars(self)
        if list(map(type, values)) != _TYPES or not _are_in_range(self):
            for name, value in zip(_SCALARS, values, strict=True):
                _refuse_other(name, value)
        if self.eta_text is not None:
            _refuse_other_time(self.eta_text)
        if self.headers is not None and not isinstance(self.headers, dict):
            raise EncodeError(f"headers: {self.headers!r} is no dict")
        if self.on_success is not None or self.on_error is not None or self.chord_callback is not None:
            _signatures((*(self.on_success or ()), *(self.on_error or ()), self.chord_callback))

    @property
    def eta(self) -> datetime | None:
        """When to run, to the microsecond; None: at once. It stays in the message after it is due, as in Go."""
        return None if self.eta_text is None else parse_time(self.eta_text)

    @property
    def success_callbacks(self) -> tuple[Signature, ...]:
        """What is sent when the task has succeeded."""
        return tuple(callback for callback in self.on_success or () if callback is not None)

    @property
    def error_callbacks(self) -> tuple[Signature, ...]:
        """What is sent when the task has failed."""
        return tuple(callback for callback in self.on_error or () if callback is not None)

    @property
    def callbacks(self) -> tuple[Signature, ...]:
        """Every signature right in this one: success and error callbacks, then the chord's."""
        if self.on_success is None and self.on_error is None and self.chord_callback is None:
            return ()
        chord = () if self.chord_callback is None else (self.chord_callback,)
        return (*self.success_callbacks, *self.error_callbacks, *chord)


def _is_typed(args: Any) -> bool:
    if type(args) is not tuple:
        return False
    for arg in args:  # noqa: SIM110 - a generator costs more than the loop, on every message
        if type(arg) is not Arg:
            return False
    return True


def _typed(args: Iterable[Any]) -> tuple[Arg, ...]:
    if isinstance(args, str) or not isinstance(args, Iterable):
        raise EncodeError(f"args: {args!r} is no list of arguments")
    return tuple(arg if type(arg) is Arg else Arg.of(arg) for arg in args)


def _signatures(callbacks: Iterable[Signature | None]) -> tuple[Signature | None, ...]:
    if isinstance(callbacks, Signature) or not isinstance(callbacks, Iterable):
        raise EncodeError(f"callbacks are a list of signatures, not {callbacks!r}")
    found = tuple(callbacks)
    for callback in found:
        if callback is not None and not isinstance(callback, Signature):
            raise EncodeError(f"{callback!r} is no signature: a task's .signature(...) or .partial(...) is")
    return found


def _eta_text(eta: datetime | timedelta | None) -> str | None:
    if eta is None:
        return None
    if not isinstance(eta, datetime | timedelta):
        raise EncodeError(f"eta: {eta!r} is neither an aware datetime nor a timedelta")
    try:
        moment = datetime.now(UTC) + eta if isinstance(eta, timedelta) else eta
        moment.astimezone(UTC)
    except OverflowError as error:
        raise EncodeError(f"eta: {eta!r} is not in the years 1 to 9999 of UTC") from error
    return format_time(moment)


_SCALARS: dict[str, tuple[type, int, int]] = {
    **dict.fromkeys(
        ("uuid", "name", "queue", "group_uuid", "broker_message_group_id", "sqs_receipt_handle"), (str, 0, 0)
    ),
    **dict.fromkeys(("immutable", "stop_task_deletion_on_error", "ignore_when_task_not_registered"), (bool, 0, 1)),
    **dict.fromkeys(("group_task_count", "retry_count", "retry_timeout"), (int, -(2**63), 2**63 - 1)),
    "priority": (int, 0, 255),
}
"""What the plain fields hold: the type, and the range of integers."""


_TYPES = [kind for kind, _, _ in _SCALARS.values()]
_scalars = attrgetter(*_SCALARS)


def _headers(headers: Any) -> dict[str, Any]:
    try:
        return dict(headers)
    except (TypeError, ValueError) as error:
        raise EncodeError(f"headers: {headers!r} is no mapping") from error


_CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "args": _typed,
    "on_success": _signatures,
    "on_error": _signatures,
    "headers": _headers,
}
"""What the other fields are made of when they are replaced."""


def _refuse_other(name: str, value: Any) -> None:
    kind, least, greatest = _SCALARS[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise EncodeError(f"{name}: {value!r} is no {kind.__name__}")
    if isinstance(value, int) and not least <= value <= greatest:
        raise EncodeError(f"{name}: {value} is not from {least} to {greatest}")


def _are_in_range(signature: Signature) -> bool:
    """Of integers that are integers."""
    most = 2**63 - 1
    return (
        0 <= signature.priority <= 255
        and -most <= signature.retry_count <= most
        and -most <= signature.retry_timeout <= most
        and -most <= signature.group_task_count <= most
    )


def _refuse_other_time(text: Any) -> None:
    try:
        canonical_time(text)
    except (TypeError, ValueError, AttributeError) as error:
        raise EncodeError(f"eta_text: {text!r} is no time as Go writes it") from error
