"""What runs tasks: `Worker` in the calling process, a supervisor with child processes behind `manage.py runworker`."""

from django_machinery.worker.context import TaskContext
from django_machinery.worker.worker import Worker

__all__ = ["TaskContext", "Worker"]
