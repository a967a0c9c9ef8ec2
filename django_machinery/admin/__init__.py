"""The pages of the queue in Django's admin."""

from django_machinery.admin import schedules  # noqa: F401
