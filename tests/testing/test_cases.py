"""`MachineryTestCaseMixin`, as its users have it."""

from django.test import TestCase, override_settings

from django_machinery.testing import MachineryTestCaseMixin
from tests.app.tasks import add, noop
from tests.testing.servers import push


@override_settings(MACHINERY={"default": push()})
class TestMixin(MachineryTestCaseMixin, TestCase):
    def test_it_records_asserts_and_runs(self):
        result = add.send(1, 2)
        (sent,) = self.assertTaskSent(add, 1, args=[1, 2])
        self.assertTaskNotSent(noop)
        assert sent is self.machinery_outbox[0]
        assert self.run_tasks(limit=5) == 1
        assert result.get() == 3

    def test_each_test_begins_with_nothing_sent(self):
        assert len(self.machinery_outbox) == 0
        assert self.run_tasks() == 0
