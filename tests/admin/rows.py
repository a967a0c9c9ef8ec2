"""One row of each table, with one text in every column that has room for it."""

from datetime import UTC, datetime
from typing import Any

from django.db import models

from django_machinery import Signature
from django_machinery.models import (
    Attempt,
    Cancellation,
    DeadLetter,
    GroupMeta,
    Message,
    QueueControl,
    TaskState,
    WorkerProcess,
)
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Arg

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_rows(text: str = "plain", *, number: int = 0, state: str = "FAILURE") -> dict[str, Any]:
    """A task, its attempt, group, worker, dead letter and so on, by the name of the model in lower case."""
    short, uuid = text[:255], f"{text[:200]}{number}"
    body = _signature(text, uuid)
    rows: dict[str, models.Model] = {
        "taskstate": TaskState(
            uuid=uuid, server="default", name=short, queue=short, state=state, reason=text[:16], worker=short,
            signature=body, results=f'[{{"Type":"string","Value":{_json(text)}}}]', error=text, traceback=text,
            progress_done=1, progress_total=2, progress_note=short, trace_id=text[:64], group_uuid=uuid, group_index=0,
            parent_uuid=short, created_at=WHEN, received_at=WHEN, started_at=WHEN, finished_at=WHEN,
        ),
        "attempt": Attempt(
            uuid=uuid, name=short, number=1, worker=short, started_at=WHEN, ended_at=datetime.now(UTC),
            outcome=text[:16], exception=short, error=text, traceback=text,
        ),
        "failure": Attempt(
            uuid=uuid, name=short, number=2, worker=short, ended_at=datetime.now(UTC), outcome="error",
            exception=short, error=text, traceback=text,
        ),
        "groupmeta": GroupMeta(uuid=uuid, total=2, remaining=1, failed=1, callback_uuid=short, created_at=WHEN),
        "deadletter": DeadLetter(
            server="default", queue=short, uuid=uuid, name=short, body=body.encode(), reason=text[:32], detail=text,
            worker=short, died_at=WHEN,
        ),
        "workerprocess": WorkerProcess(
            token=f"{number}{text[:50]}", server="default", host=short, pid=number, tag=short, queues=text,
            names=f"hash\n{text}", version=text[:32], started_at=WHEN, beat_at=datetime.now(UTC), lease_until=WHEN,
        ),
        "queuecontrol": QueueControl(server="default", queue=uuid, paused_at=WHEN, paused_by=short),
        "cancellation": Cancellation(server="default", uuid=uuid, requested_at=WHEN, requested_by=short),
        "message": Message(
            uuid=uuid, queue=short, name=short, status=Message.Status.READY, rank=0, due_at=WHEN, body=body,
            created_at=WHEN,
        ),
    }  # fmt: skip
    for row in rows.values():
        row.save()
    return rows


def _signature(text: str, uuid: str) -> str:
    following = Signature.of(text, uuid=f"next{uuid}"[:255])
    args = (Arg.of(text, name=text), Arg.of(f'{{"key": {_json(text)}}}'))
    signature = Signature(name=text, uuid=uuid, args=args).replace(on_success=[following], chord_callback=following)
    return encode_signature(signature).decode()


def _json(text: str) -> str:
    import json

    return json.dumps(text)
