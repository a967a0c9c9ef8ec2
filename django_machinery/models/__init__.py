"""The tables. A model a file; statements that are run for every task are in `models.sql`, in each engine's own SQL."""

from django_machinery.models.attempt import Attempt
from django_machinery.models.control import Cancellation, QueueControl
from django_machinery.models.dead_letter import DeadLetter
from django_machinery.models.group_meta import GroupMeta
from django_machinery.models.lock import Lock
from django_machinery.models.message import Message
from django_machinery.models.progress import Progress
from django_machinery.models.schedule import Schedule
from django_machinery.models.stat import Stat
from django_machinery.models.task_state import TaskState
from django_machinery.models.tick import Tick
from django_machinery.models.unique_key import UniqueKey
from django_machinery.models.worker_process import WorkerProcess

__all__ = [
    "Attempt",
    "Cancellation",
    "DeadLetter",
    "GroupMeta",
    "Lock",
    "Message",
    "Progress",
    "QueueControl",
    "Schedule",
    "Stat",
    "TaskState",
    "Tick",
    "UniqueKey",
    "WorkerProcess",
]
