"""What keeps stores in order: who is renewed, when it is safe to sweep."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.exceptions import BrokerUnavailable
from django_machinery.models import DeadLetter
from django_machinery.server import Server
from django_machinery.worker import maintenance as module
from django_machinery.worker.figures import Figures
from django_machinery.worker.maintenance import Maintenance
from django_machinery.worker.stores import Stores
from tests.toys.push import PushBroker
from tests.waiting import wait_until
from tests.worker.support import toy_server


class Watched(PushBroker):
    """Writes down what it is asked to do, and loses tokens when it is told to."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self.renewed: list[float] = []
        self.swept: list[float] = []
        self.lost: set[str] = set()
        self.away = False

    def renew(self, tokens: object) -> set[str]:
        if self.away:
            raise BrokerUnavailable("gone")
        assert isinstance(tokens, set)
        self.renewed.append(time.monotonic())
        return tokens - self.lost

    def sweep(self) -> int:
        self.swept.append(time.monotonic())
        return 0


class Relayed:
    """Stands for the table of the outbox: nothing is in it."""

    asked = 0

    def outbox_due(self, *_: object, **__: object) -> list[object]:
        self.asked += 1
        return []


@pytest.fixture
def outbox() -> Relayed:
    return Relayed()


@pytest.fixture
def server(outbox: Relayed) -> Server:
    server = toy_server(Watched)
    server._sender._outbox = outbox  # type: ignore[assignment]
    return server


@pytest.fixture
def broker(server: Server) -> Watched:
    assert isinstance(server.broker, Watched)
    return server.broker


@pytest.fixture
def tokens() -> list[str]:
    return ["a", "b"]


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def maintenance(
    server: Server, tokens: list[str], lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Maintenance]:
    monkeypatch.setattr(module, "SWEEP", 0.05)
    monkeypatch.setattr(module, "RELAY", 0.05)
    none: list[Figures] = []
    maintenance = Maintenance(
        server, Stores(server.config), tokens=lambda: tokens, lost=lost.append, figures=lambda: none
    )
    maintenance.start()
    yield maintenance
    maintenance.stop(10)


@pytest.mark.usefixtures("maintenance")
def test_leases_are_renewed_three_times_before_they_run_out(server: Server, broker: Watched):
    wait_until(lambda: len(broker.renewed) > 4)
    gaps = [later - earlier for earlier, later in zip(broker.renewed, broker.renewed[1:], strict=False)]
    assert max(gaps) < server.config.lease * 0.5


@pytest.mark.usefixtures("maintenance")
def test_who_is_not_held_any_more_is_told(broker: Watched, lost: list[str]):
    broker.lost = {"b"}
    wait_until(lambda: "b" in lost)
    assert "a" not in lost


@pytest.mark.usefixtures("maintenance")
def test_nobody_sweeps_before_a_lease_of_unbroken_renewals(server: Server, broker: Watched):
    wait_until(lambda: broker.swept)
    assert broker.swept[0] - broker.renewed[0] >= server.config.lease


@pytest.mark.usefixtures("maintenance")
def test_after_an_outage_everybody_has_a_lease_of_time_to_renew(server: Server, broker: Watched):
    wait_until(lambda: broker.swept)
    broker.away = True
    time.sleep(server.config.lease * 1.5)
    broker.away = False
    broker.swept.clear()
    back = time.monotonic()
    wait_until(lambda: broker.swept)
    assert broker.swept[0] - back >= server.config.lease


@pytest.mark.usefixtures("maintenance")
def test_who_has_nobody_to_renew_cannot_tell_and_does_not_sweep(server: Server, broker: Watched, tokens: list[str]):
    wait_until(lambda: broker.swept)
    tokens.clear()
    wait_until(lambda: time.monotonic() - broker.renewed[-1] > server.config.lease)
    broker.swept.clear()
    deadline = time.monotonic() + server.config.lease
    wait_until(lambda: broker.swept or time.monotonic() > deadline)
    assert broker.swept == []


class Delaying(Watched):
    """Has one delayed message, which is due at some time."""

    supports_delay = True
    due: float | None = None

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self.promoted: list[float] = []
        self.asked = 0

    def next_due(self) -> float | None:
        self.asked += 1
        return None if self.due is None else self.due - time.monotonic()

    def promote(self) -> int:
        self.promoted.append(time.monotonic())
        self.due = None
        return 1


def test_a_delayed_message_is_promoted_when_it_is_due_whatever_else_takes_its_time(
    outbox: Relayed, monkeypatch: pytest.MonkeyPatch
):
    """The relay is stuck all the while."""
    server, ends = toy_server(Delaying), threading.Event()
    broker = server.broker
    assert isinstance(broker, Delaying)
    monkeypatch.setattr(module, "relay", lambda server: ends.wait(20))
    monkeypatch.setattr(module, "LOOK", 30.0)
    broker.due = due = time.monotonic() + 0.5
    maintenance = Maintenance(server, Stores(server.config), tokens=list, lost=lambda token: None, figures=list)
    maintenance.start()
    wait_until(lambda: broker.promoted)
    ends.set()
    maintenance.stop(10)
    assert broker.promoted[0] >= due
    assert broker.asked <= 4, "it asked all the time"


def test_a_message_that_is_sent_with_a_short_delay_is_looked_for(server: Server):
    delaying = toy_server(Delaying)
    broker = delaying.broker
    assert isinstance(broker, Delaying)
    maintenance = Maintenance(delaying, Stores(delaying.config), tokens=list, lost=lambda token: None, figures=list)
    maintenance.start()
    wait_until(lambda: broker.asked > 2)
    broker.due = time.monotonic() + 0.01
    wait_until(lambda: broker.promoted)
    maintenance.stop(10)


@pytest.mark.usefixtures("maintenance")
def test_the_outbox_is_relayed(outbox: Relayed):
    wait_until(lambda: outbox.asked >= 2)


@pytest.mark.django_db(transaction=True)
def test_records_in_the_database_are_expired_whatever_the_backend():
    server = toy_server()
    old = datetime.now(UTC) - timedelta(days=31)
    DeadLetter.objects.create(server="default", queue="math", body=b"", reason="poison", died_at=old)
    maintenance = Maintenance(
        server, Stores(server.config), tokens=lambda: [], lost=lambda token: None, figures=lambda: []
    )
    maintenance._expire()
    assert not DeadLetter.objects.exists()
