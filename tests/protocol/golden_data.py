"""The golden files, and the Python values that stand for the Go values in their specs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Raw

from django_machinery.protocol import go_types
from django_machinery.protocol.go_types import to_wire
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import GroupMeta, TaskResult, TaskState
from django_machinery.protocol.times import ZERO_TIME, canonical_time

FOLDER = Path(__file__).parent / "golden"

SCALARS: dict[str, Any] = {
    **{f"int{bits}": getattr(go_types, f"Int{bits}") for bits in ("", 8, 16, 32, 64)},
    **{f"uint{bits}": getattr(go_types, f"Uint{bits}") for bits in ("", 8, 16, 32, 64)},
    "float32": go_types.Float32,
    "float64": float,
    "bool": bool,
    "string": str,
}
ANNOTATIONS: dict[str, Any] = {
    **SCALARS,
    **{f"[]{name}": list[annotation] for name, annotation in SCALARS.items()},  # type: ignore[valid-type]
    "[]byte": bytes,
    "[]uint8": bytes,
}
"""The annotation that stands for each Go type."""


def lines(name: str) -> list[bytes]:
    """The lines of a golden file as they are."""
    return (FOLDER / f"{name}.jsonl").read_bytes().splitlines()


def rows(name: str) -> list[dict[str, Any]]:
    """The lines of a golden file; each has its `case`, which tests use as their id."""
    return [json.loads(line) for line in lines(name)]


def raw_member(line: bytes, key: str) -> bytes:
    """The text of a line's member, for values whose text counts: 1.0 is not 1."""
    text = line.decode()
    start = text.index(f'"{key}":') + len(key) + 3
    return text[start : json.JSONDecoder().raw_decode(text, start)[1]].encode()


def case(row: dict[str, Any]) -> str:
    return str(row["case"])


def python_value(tagged: dict[str, Any] | None) -> Any:
    """The Python value for a tagged Go value: None for nil, text that is not UTF-8 with surrogates, a number as Raw."""
    if tagged is None or tagged["go"] == "nil":
        return None
    kind = tagged["go"]
    value: Any = tagged.get("v")
    if "hex" in tagged:
        data = bytes.fromhex(tagged["hex"])
        return data if kind != "string" else data.decode("utf-8", "surrogateescape")
    if kind == "number":
        return Raw(value.encode())
    if kind.startswith("[]"):
        items = None if value is None else [_scalar(kind[2:], text) for text in value]
        return bytes(items) if kind in ("[]uint8", "[]byte") and items is not None else items
    return _scalar(kind, value)


def wire_value(tagged: dict[str, Any] | None) -> Raw:
    """The JSON that we write for a tagged Go value."""
    value = python_value(tagged)
    return value if isinstance(value, Raw) else to_wire(value, ANNOTATIONS.get(tagged["go"]) if tagged else None)[1]


def signature(spec: dict[str, Any] | None) -> Signature | None:
    """The signature that a spec describes."""
    if spec is None:
        return None
    args, headers = spec.get("Args"), spec.get("Headers")
    return Signature(
        uuid=spec.get("UUID", ""),
        name=spec.get("Name", ""),
        queue=spec.get("RoutingKey", ""),
        eta_text=canonical_time(spec["ETA"]) if "ETA" in spec else None,
        group_uuid=spec.get("GroupUUID", ""),
        group_task_count=spec.get("GroupTaskCount", 0),
        args=None if args is None else tuple(Arg(a["Name"], a["Type"], wire_value(a["Value"])) for a in args),
        headers=None if headers is None else {key: python_value(value) for key, value in headers.items()},
        priority=spec.get("Priority", 0),
        immutable=spec.get("Immutable", False),
        retry_count=spec.get("RetryCount", 0),
        retry_timeout=spec.get("RetryTimeout", 0),
        on_success=_signatures(spec.get("OnSuccess")),
        on_error=_signatures(spec.get("OnError")),
        chord_callback=signature(spec.get("ChordCallback")),
        broker_message_group_id=spec.get("BrokerMessageGroupId", ""),
        sqs_receipt_handle=spec.get("SQSReceiptHandle", ""),
        stop_task_deletion_on_error=spec.get("StopTaskDeletionOnError", False),
        ignore_when_task_not_registered=spec.get("IgnoreWhenTaskNotRegistered", False),
    )


def state(spec: dict[str, Any]) -> TaskState:
    """The task state that a spec describes."""
    results = spec.get("Results")
    return TaskState(
        task_uuid=spec.get("TaskUUID", ""),
        task_name=spec.get("TaskName", ""),
        state=spec.get("State", ""),
        results=None
        if results is None
        else tuple(r and TaskResult(r["Type"], wire_value(r["Value"])) for r in results),
        error=spec.get("Error", ""),
        created_at_text=canonical_time(spec.get("CreatedAt", ZERO_TIME)),
        ttl=spec.get("TTL", 0),
    )


def group(spec: dict[str, Any]) -> GroupMeta:
    """The group that a spec describes."""
    uuids = spec.get("TaskUUIDs")
    return GroupMeta(
        group_uuid=spec.get("GroupUUID", ""),
        task_uuids=None if uuids is None else tuple(uuids),
        chord_triggered=spec.get("ChordTriggered", False),
        lock=spec.get("Lock", False),
        created_at_text=canonical_time(spec.get("CreatedAt", ZERO_TIME)),
        ttl=spec.get("TTL", 0),
    )


def _scalar(kind: str, text: str) -> Any:
    if kind == "bool":
        return text == "true"
    if kind == "string":
        return text
    return float(text) if kind.startswith("float") else int(text)


def _signatures(specs: list[dict[str, Any] | None] | None) -> tuple[Signature | None, ...] | None:
    return None if specs is None else tuple(map(signature, specs))
