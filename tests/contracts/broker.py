"""The broker contract: `seams/broker.py` as tests, a class a topic.

A driver supplies the fixture `broker` and the method `inject`, and where its leases hang on a connection, `crash`:

    class TestOrmBroker(BrokerContract):
        @pytest.fixture
        def broker(self, config): ...
"""

from tests.contracts.broker_claiming import Claiming, GivingBack, Purging, Settling
from tests.contracts.broker_control import Hastening, Looking, Pausing, Taking
from tests.contracts.broker_delays import Delays, Listing, Unreachable
from tests.contracts.broker_leases import Crashes, Isolation, MessageLeases, WorkerLeases
from tests.contracts.broker_publishing import Inline, Publishing
from tests.contracts.broker_waiting import Waiting


class BrokerContract(
    Publishing,
    Inline,
    Claiming,
    Settling,
    GivingBack,
    Purging,
    Waiting,
    Delays,
    Listing,
    Crashes,
    Isolation,
    WorkerLeases,
    MessageLeases,
    Pausing,
    Taking,
    Hastening,
    Looking,
    Unreachable,
):
    """Every topic. See `tests.contracts.broker_base.BrokerTopic` for what to supply."""
