"""Settings of the workers under test: those of the suite, with what a test has put into MACHINERY_TEST_SERVER."""

import json
import os

from tests.settings_worker import *  # noqa: F403
from tests.settings_worker import MACHINERY

DEBUG = os.environ.get("MACHINERY_TEST_DEBUG") == "1"
_changes = json.loads(os.environ.get("MACHINERY_TEST_SERVER", "{}"))
MACHINERY = {alias: {**server, **_changes} for alias, server in MACHINERY.items()}
