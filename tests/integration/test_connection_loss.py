"""A broker whose connections break under a worker."""

import pytest

from django_machinery import Chord, Group, send_chord
from django_machinery.server import Server
from tests.app.tasks import record, record_all, recorded, slow, total
from tests.integration.matrix import pairs
from tests.toys.push import PushBroker
from tests.waiting import wait_until


@pytest.mark.parametrize(("database", "broker", "backend"), pairs("push"), indirect=["database"])
@pytest.mark.usefixtures("worker")
def test_a_chord_survives_connections_that_drop_while_its_tasks_run(server: Server):
    assert isinstance(server.broker, PushBroker)
    callback = total.using(on_success=[record_all.partial("done")]).partial(1000)
    result = send_chord(Chord(Group(*[slow.signature(20 + i) for i in range(10)]), callback))
    for done in (1, 3, 5):
        wait_until(lambda done=done: result.progress.done >= done)  # type: ignore[misc]
        server.broker.drop_connections()
    assert result.get(30) == 1000 + sum(20 + i for i in range(10))
    assert record.send("last").get(30) == "last"
    wait_until(lambda: server.broker.depth(server.config.default_queue) == 0)
    wait_until(lambda: "done+1245" in recorded())
    assert set(recorded()) == {"last", "done+1245"}
