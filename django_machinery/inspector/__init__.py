"""What operators see of a server, whatever its stores."""

from django_machinery.inspector.inspector import Inspector
from django_machinery.inspector.looks import (
    FailureRow,
    Latency,
    Percentiles,
    Point,
    QueueLook,
    SlowTask,
)

__all__ = ["FailureRow", "Inspector", "Latency", "Percentiles", "Point", "QueueLook", "SlowTask"]
