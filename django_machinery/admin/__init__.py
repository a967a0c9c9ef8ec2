"""The pages of the queue in Django's admin. Importing them registers them, and the task behind large actions."""

from django_machinery.admin import bulk, cancellations, dead_letters, groups, queues, states, workers  # noqa: F401
