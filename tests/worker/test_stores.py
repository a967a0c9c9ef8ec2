"""Waiting for stores that are away."""

import threading
from typing import Any

import pytest
from django.db import OperationalError

from django_machinery import signals
from django_machinery.exceptions import BackendError, BackendUnavailable, BrokerUnavailable
from django_machinery.worker import stores as module
from django_machinery.worker.stores import Aborted, Stores
from tests.contracts.support import config_with
from tests.worker.support import Script, heard


@pytest.fixture
def stores() -> Stores:
    return Stores(config_with(broker="redis://:secret@host/1", result_backend="orm://default", database="main"))


def test_it_tries_until_the_store_answers(stores: Stores):
    function = Script(BrokerUnavailable("1"), BackendUnavailable("2"), OperationalError("3"), "answer")
    assert stores.call(function) == "answer"
    assert len(function.calls) == 4


def test_other_errors_are_raised(stores: Stores):
    with pytest.raises(BackendError, match="refused"):
        stores.call(Script(BackendError("refused")))


def test_each_store_is_named_without_its_secrets(stores: Stores):
    with heard(signals.store_unavailable) as told:
        stores.call(Script(BrokerUnavailable("1"), BackendUnavailable("2"), OperationalError("3"), "answer"))
    assert [event["store"] for event in told] == ["redis://:***@host/1", "orm://default", "main"]


def test_an_outage_is_told_once_and_so_is_its_end(stores: Stores):
    with heard(signals.store_unavailable, signals.store_recovered) as told:
        stores.call(Script(*[BrokerUnavailable("gone")] * 4, "answer"))
        stores.call(Script("answer"))
    assert [event["signal"] for event in told] == [signals.store_unavailable, signals.store_recovered]


def test_an_outage_that_goes_on_is_told_again_after_a_while(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TELL_AGAIN", 0.0)
    with heard(signals.store_unavailable) as told:
        stores.call(Script(*[BrokerUnavailable("gone")] * 3, "answer"))
    assert len(told) == 3


def test_the_waits_grow_but_not_beyond_what_the_lease_allows(stores: Stores):
    delays = []
    outage = None
    for _ in range(8):
        outage = stores.lost(BrokerUnavailable("gone"), outage)
        delays.append(outage.delay)
    assert delays[:2] == [0.05, 0.1]
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(0.6 * 0.3)


def test_abort_ends_the_wait(stores: Stores):
    waiting = threading.Event()

    def never(*_: Any) -> None:
        waiting.set()
        raise BrokerUnavailable("gone")

    def abort() -> None:
        assert waiting.wait(10)
        stores.abort()

    aborter = threading.Thread(target=abort)
    aborter.start()
    with pytest.raises(Aborted):
        stores.call(never)
    aborter.join()
