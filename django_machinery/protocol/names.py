"""Field names on the wire: Go's, without json tags."""

from __future__ import annotations

_OTHERS = {
    "uuid": "UUID",
    "queue": "RoutingKey",
    "eta_text": "ETA",
    "group_uuid": "GroupUUID",
    "sqs_receipt_handle": "SQSReceiptHandle",
    "task_uuid": "TaskUUID",
    "task_uuids": "TaskUUIDs",
    "created_at_text": "CreatedAt",
    "ttl": "TTL",
}


def go_name(field: str) -> str:
    """`retry_count` is RetryCount, and so on; abbreviations and our own words are in a table."""
    return _OTHERS.get(field) or "".join(map(str.capitalize, field.split("_")))
