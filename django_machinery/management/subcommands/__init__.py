"""The subcommands of `manage.py machinery`, a module each: what it is (HELP), what it takes, what it does."""

from django_machinery.management.subcommands import (
    cancel,
    child,
    dead,
    delayed,
    import_celery_beat,
    now,
    pause,
    pending,
    purge,
    queues,
    requeue,
    resume,
    retry,
    send,
    worker,
    workers,
)
from django_machinery.management.subcommands.base import Subcommand

SUBCOMMANDS: dict[str, Subcommand] = {
    "worker": worker,
    "workers": workers,
    "queues": queues,
    "pause": pause,
    "resume": resume,
    "send": send,
    "cancel": cancel,
    "retry": retry,
    "now": now,
    "pending": pending,
    "delayed": delayed,
    "dead": dead,
    "requeue": requeue,
    "purge": purge,
    "import_celery_beat": import_celery_beat,
    "child": child,
}
