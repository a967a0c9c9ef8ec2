"""Settings of a worker whose server is configured by the YAML file that MACHINERY_TEST_FILE names."""

import os

from django_machinery.conf import from_yaml
from tests.settings_worker import *  # noqa: F403

MACHINERY = {"default": from_yaml(os.environ["MACHINERY_TEST_FILE"])}
