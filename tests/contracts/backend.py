"""The result backend contract: `seams/backend.py` as tests, a class a topic.

A driver supplies the fixture `backend`:

    class TestOrmBackend(BackendContract):
        @pytest.fixture
        def backend(self, config): ...
"""

from tests.contracts.backend_groups import Chords, Expiry, Groups, Upkeep
from tests.contracts.backend_listing import Listing, Signatures
from tests.contracts.backend_states import States, Unreachable, Waiting, Winning


class BackendContract(States, Winning, Waiting, Groups, Chords, Listing, Signatures, Expiry, Upkeep, Unreachable):
    """Every topic. See `tests.contracts.backend_base.BackendTopic` for what to supply."""
