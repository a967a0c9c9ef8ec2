"""Settings of the processes that tests start: those of the suite, on the very databases of the test that runs.

`tests.databases.environment()` makes the environment that this module reads.
"""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

for _alias, _target in json.loads(os.environ["MACHINERY_TEST_DATABASES"]).items():
    DATABASES[_alias] |= _target
