"""The mixin for unittest's test cases."""

from __future__ import annotations

import unittest
from typing import Any

from django_machinery.testing.capture import Outbox, SentTask, TaskOrName, captured_tasks
from django_machinery.testing.running import run_tasks


class MachineryTestCaseMixin(unittest.TestCase):
    """Put it before `django.test.TestCase`: `class OrderTests(MachineryTestCaseMixin, TestCase)`."""

    machinery_outbox: Outbox
    """What the test has sent."""

    def setUp(self) -> None:
        super().setUp()
        self.machinery_outbox = self.enterContext(captured_tasks())

    def run_tasks(self, server: str = "default", limit: int | None = None, **options: Any) -> int:
        """`django_machinery.testing.run_tasks`."""
        return run_tasks(server, limit, **options)

    def assertTaskSent(self, task: TaskOrName, times: int | None = None, **asked: Any) -> list[SentTask]:
        """`Outbox.assert_sent` on what the test has sent."""
        return self.machinery_outbox.assert_sent(task, times, **asked)

    def assertTaskNotSent(self, task: TaskOrName, **asked: Any) -> None:
        """`Outbox.assert_not_sent` on what the test has sent."""
        self.machinery_outbox.assert_not_sent(task, **asked)
