"""The unit contract: `seams/unit.py` as tests, for a pair of a broker and a result backend, a class a topic.

class TestOrmUnit(UnitContract):
    @pytest.fixture
    def broker(self, config): ...
    @pytest.fixture
    def backend(self, config): ...
"""

from tests.contracts.unit_chords import Chords
from tests.contracts.unit_fences import Fences, Overtaken
from tests.contracts.unit_outcomes import Batches, Outcomes


class UnitContract(Outcomes, Batches, Fences, Overtaken, Chords):
    """Every topic. See `tests.contracts.unit_base.UnitTopic` for what to supply."""
