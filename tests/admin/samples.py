"""Rows as a project of some size has them, for tests, pictures and measurements."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from django_machinery import Signature
from django_machinery.models import (
    Attempt,
    DeadLetter,
    GroupMeta,
    Message,
    QueueControl,
    Schedule,
    Stat,
    TaskState,
    WorkerProcess,
)
from django_machinery.protocol.codec import encode_signature

NAMES = ("shop.tasks.charge_card", "shop.tasks.send_receipt", "media.tasks.make_thumbnail", "reports.tasks.nightly")
QUEUES = ("machinery_tasks", "mail", "media", "reports")
STATES = ("SUCCESS",) * 85 + ("FAILURE",) * 6 + ("PENDING",) * 5 + ("STARTED",) * 2 + ("RETRY",) + ("RECEIVED",)
ERRORS = (
    ("requests.exceptions.ReadTimeout", "HTTPSConnectionPool(host='payments.example', port=443): Read timed out."),
    ("smtplib.SMTPServerDisconnected", "Connection unexpectedly closed"),
    ("PIL.UnidentifiedImageError", "cannot identify image file '/media/7f/cat.heic'"),
    ("django.db.utils.OperationalError", "deadlock detected"),
)
TRACEBACK = """Traceback (most recent call last):
  File "shop/tasks.py", line 41, in charge_card
    answer = gateway.charge(order.total, card=order.card, idempotency_key=order.key)
  File "shop/gateway.py", line 118, in charge
    response = self._session.post(self._url("/v1/charges"), json=payload, timeout=self.timeout)
{error}
"""


def task_states(count: int, seed: int = 1) -> Iterator[TaskState]:
    """Tasks of the last days, oldest first, the newest a moment ago."""
    chance, now = random.Random(seed), timezone.now()
    span = timedelta(days=6).total_seconds()
    for index in range(count):
        kind = chance.randrange(4)
        # The latest are the densest, as in a project that is in use.
        age = span * (1 - (index + 1) / (count + 1)) ** 2
        yield _task(chance, index, kind, now - timedelta(seconds=age))


def attempts(tasks: list[TaskState]) -> list[Attempt]:
    """One for each that failed."""
    return [
        Attempt(
            uuid=task.uuid,
            name=task.name,
            number=task.attempt,
            worker=task.worker,
            started_at=task.started_at,
            ended_at=task.finished_at,
            outcome="error",
            exception=task.error.partition(":")[0],
            error=task.error,
            traceback=task.traceback,
        )
        for task in tasks
        if task.state == "FAILURE" and task.finished_at
    ]


def fill(count: int) -> None:
    """Everything that there is to see, with `count` tasks."""
    tasks = TaskState.objects.bulk_create(task_states(count), batch_size=500)
    Attempt.objects.bulk_create(attempts(tasks))
    WorkerProcess.objects.bulk_create(_workers())
    DeadLetter.objects.bulk_create(_dead_letters())
    Message.objects.bulk_create(_messages())
    Stat.objects.bulk_create(_stats())
    Schedule.objects.bulk_create(_schedules())
    QueueControl.objects.create(server="default", queue="reports", paused_at=timezone.now(), paused_by="ada")
    _group()


def _task(chance: random.Random, index: int, kind: int, created: datetime) -> TaskState:
    uuid = f"task_{index:08x}-0000-4000-8000-{chance.getrandbits(48):012x}"
    signature = Signature.of(
        NAMES[kind], chance.randrange(100_000), f"user{index}@example.com", kind == 2, uuid=uuid, queue=QUEUES[kind]
    )
    state = "FAILURE" if index % 10 == 9 else chance.choice(STATES)
    started = created + timedelta(seconds=chance.expovariate(2)) if state not in ("PENDING", "RETRY") else None
    ended = (
        started + timedelta(seconds=chance.expovariate(0.8)) if started and state in ("SUCCESS", "FAILURE") else None
    )
    error = ": ".join(ERRORS[kind]) if state == "FAILURE" else ""
    return TaskState(
        uuid=uuid,
        server="default",
        name=NAMES[kind],
        queue=QUEUES[kind],
        state=state,
        reason="error" if error else "",
        attempt=chance.choice((1, 1, 1, 1, 2, 3)),
        signature=encode_signature(signature).decode(),
        results='[{"Type":"int64","Value":42}]' if state == "SUCCESS" else None,
        error=error,
        traceback=TRACEBACK.format(error=error) if error else "",
        worker=f"web{chance.randrange(1, 5)}.example.com:{4000 + kind}" if started else "",
        created_at=created,
        received_at=started,
        started_at=started,
        finished_at=ended,
    )


def _workers() -> list[WorkerProcess]:
    now = timezone.now()
    return [
        WorkerProcess(
            token=f"token-{index}",
            server="default",
            host=f"web{index}.example.com",
            pid=4000 + index,
            supervisor=f"web{index}",
            tag="runworker",
            queues="\n".join(QUEUES[: 1 + index]),
            names="hash\n" + "\n".join(NAMES),
            concurrency=8,
            busy=index * 2,
            done=12_345 * (index + 1),
            failed=17 * index,
            rss=(96 + 13 * index) * 2**20,
            started_at=now - timedelta(hours=index + 1),
            beat_at=now - timedelta(seconds=2 if index < 3 else 300),
            lease_until=now + timedelta(seconds=8) if index < 3 else None,
        )
        for index in range(4)
    ]


def _dead_letters() -> list[DeadLetter]:
    now = timezone.now()
    good = encode_signature(Signature.of(NAMES[2], "/media/7f/cat.heic", uuid="task_dead", queue="media"))
    return [
        DeadLetter(server="default", queue="media", uuid="task_dead", name=NAMES[2], body=good, reason="crashes",
                   detail="The worker process ended three times while it ran this task alone.", claims=3, crashes=3,
                   worker="web2.example.com:4002", died_at=now - timedelta(minutes=12)),
        DeadLetter(server="default", queue="mail", body=b"\xff\xfe{not json", reason="undecodable",
                   detail="byte 0xff is not JSON", claims=1, died_at=now - timedelta(hours=5)),
    ]  # fmt: skip


def _messages() -> list[Message]:
    now = timezone.now()
    return [
        Message(uuid=f"task_waiting_{index}", queue=QUEUES[index % 4], name=NAMES[index % 4],
                status=Message.Status.READY if index % 3 else Message.Status.LATER, rank=0,
                due_at=now + timedelta(seconds=60 * (1 if index % 3 == 0 else -1)), body="{}", created_at=now)
        for index in range(48)
    ]  # fmt: skip


def _schedules() -> list[Schedule]:
    now = timezone.now()
    specs = (("nightly report", "0 6 * * *", "Europe/Berlin"), ("clean up", "@every 90m", "UTC"))
    return [
        Schedule(server="default", name=name, kind="task", spec=spec, timezone=zone, signatures="[]", origin="code",
                 missed="one", dst_gap="next", dst_overlap="first", run_overlap="allow",
                 next_at=now + timedelta(hours=index + 1), last_at=now - timedelta(hours=23))
        for index, (name, spec, zone) in enumerate(specs)
    ] + [
        Schedule(server="default", name="weekly figures", kind="task", spec="30 5 * * 1-5", timezone="UTC",
                 signatures="[]", origin="model", next_at=now + timedelta(hours=9)),
    ]  # fmt: skip


def _stats() -> Iterator[Stat]:
    chance, minute = random.Random(2), timezone.now().replace(second=0, microsecond=0)
    for back in range(0, 7 * 24 * 60, 3):
        at = minute - timedelta(minutes=back)
        busy = 1.2 + 0.8 * (1 if 7 <= at.hour <= 19 else -1)
        for outcome, share in (("succeeded", 60), ("failed", 3), ("retried", 2)):
            count = int(chance.gauss(share * busy, share / 4))
            if count > 0:
                yield Stat(minute=at, server="default", queue=QUEUES[0], name=NAMES[back % 4], outcome=outcome,
                           count=count, wait_ms=count * 80, run_ms=count * 900,
                           wait_hist=f"38:{count},45:1", run_hist=f"{50 + back % 4}:{count},60:1")  # fmt: skip


def _group() -> None:
    now = timezone.now()
    GroupMeta.objects.create(uuid="group_sample", total=10, remaining=3, failed=1, callback_uuid="chord_sample",
                             callback="{}", created_at=now - timedelta(minutes=3))  # fmt: skip
    members = []
    for index, task in enumerate(task_states(10, seed=3)):
        task.uuid, task.group_uuid, task.group_index = f"task_member_{index}", "group_sample", index
        members.append(task)
    TaskState.objects.bulk_create(members)
