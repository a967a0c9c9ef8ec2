"""The subcommands of `manage.py machinery`, a module each: what it is (HELP), what it takes, what it does."""

from django_machinery.management.subcommands import (
    child,
    dead,
    delayed,
    import_celery_beat,
    pending,
    purge,
    requeue,
    send,
    worker,
)
from django_machinery.management.subcommands.base import Subcommand

SUBCOMMANDS: dict[str, Subcommand] = {
    "worker": worker,
    "send": send,
    "pending": pending,
    "delayed": delayed,
    "dead": dead,
    "requeue": requeue,
    "purge": purge,
    "import_celery_beat": import_celery_beat,
    "child": child,
}
