"""The pages of the queue in Django's admin. Importing them registers them, and the task behind large actions."""

from django_machinery.admin import (  # noqa: F401
    bulk,
    cancellations,
    dead_letters,
    groups,
    queues,
    schedules,
    states,
    workers,
)
