"""What importing the package may bring along. Each test asks a fresh interpreter."""

import json
import subprocess
import sys

from tests.guards.package import ROOT, dotted, source_files

OPTIONAL = (
    "MySQLdb",
    "boto3",
    "croniter",
    "environ",
    "google",
    "pika",
    "psycopg",
    "pymemcache",
    "pymongo",
    "pymysql",
    "redis",
)
# The drivers of these technologies need their library; all other modules get by with Django and msgspec.
OPTIONAL_DRIVERS = ("amqp", "aws", "google", "memcache", "mongodb", "redis")

IMPORT_BARE = "import sys, json, django_machinery; print(json.dumps(sorted(sys.modules)))"

IMPORT_ALL = """
import importlib, json, sys

optional, modules = json.loads(sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in optional:
            raise ModuleNotFoundError(f"No module named {name!r}, because it is optional", name=name)

sys.meta_path.insert(0, Absent())

import django
from django.conf import settings

database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
contrib = [f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes", "messages", "sessions")]
settings.configure(INSTALLED_APPS=[*contrib, "django_machinery"], DATABASES={"default": database})
django.setup()
for module in modules:
    importlib.import_module(module)
"""


def interpreter(*arguments: str) -> str:
    """Standard output of a Python that knows no settings. Fails with its standard error."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_importable_before_apps_are_loaded_and_settings_known():
    loaded = json.loads(interpreter("-c", IMPORT_BARE))
    early = [name for name in loaded if name.startswith(("django_machinery.models", "django_machinery.drivers"))]
    assert not early, "Import models and drivers inside the function that needs them"


def test_the_package_loads_no_optional_library():
    loaded = json.loads(interpreter("-c", IMPORT_BARE))
    assert not set(loaded) & set(OPTIONAL), "Import these only in the driver that needs them"


def test_every_module_but_the_optional_drivers_works_with_django_and_msgspec_alone():
    drivers = tuple(f"django_machinery.drivers.{technology}" for technology in OPTIONAL_DRIVERS)
    modules = [name for path in source_files() if not (name := dotted(path)).startswith(drivers)]
    interpreter("-c", IMPORT_ALL, json.dumps([OPTIONAL, modules]))
