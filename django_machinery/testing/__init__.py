"""For the tests of projects that send tasks: run them in the test's own thread, and look at what was sent.

    with captured_tasks() as sent:
        client.post("/orders/", ...)
    sent.assert_sent(ship, args=[order.pk])
    run_tasks()

With pytest the fixture `machinery_outbox` is such a capture for the whole test; for unittest there is
`MachineryTestCaseMixin`.
"""

from django_machinery.testing.capture import Outbox, SentTask, assert_not_sent, assert_sent, captured_tasks
from django_machinery.testing.cases import MachineryTestCaseMixin
from django_machinery.testing.running import run_tasks

__all__ = [
    "MachineryTestCaseMixin",
    "Outbox",
    "SentTask",
    "assert_not_sent",
    "assert_sent",
    "captured_tasks",
    "run_tasks",
]
