"""Settings of the worker processes of proofs: those of the suite, with the tasks of `tests.proofs.tasks`."""

from tests.toys.settings_worker import *  # noqa: F403
from tests.toys.settings_worker import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.proofs"]
