"""Settings of processes whose servers are those of the running test, for brokers that tests alone have.

The environment is that of `tests.settings_worker`, and MACHINERY_TEST_SERVERS with MACHINERY as JSON.
"""

import json
import os

from tests import settings_worker
from tests.settings_worker import *  # noqa: F403

MACHINERY = json.loads(os.environ["MACHINERY_TEST_SERVERS"])
# Django's checks connect to every MariaDB that is configured, whether this test's servers run there or not.
_used = {"default", *(server["DATABASE"] for server in MACHINERY.values())}
DATABASES = {alias: settings_worker.DATABASES[alias] for alias in _used}
