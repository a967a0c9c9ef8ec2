"""Settings of the test suite: one database alias an engine, and under the same alias a server of the task queue."""

from importlib.util import find_spec
from typing import Any

from tests.services import shared

if find_spec("pymysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

SECRET_KEY = "not a secret: the test suite serves nobody"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Without Django's own apps, whose rows would be made anew after every test that commits.
INSTALLED_APPS = ["django_machinery", "testproject.codeindex", "tests.app"]
ROOT_URLCONF = "testproject.codeindex.urls"
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE", "timeout": 20},
        # A file, because worker processes and threads share it.
        "TEST": {"NAME": str(shared.RUN / "default.sqlite3")},
    },
    **{
        # Each alias may be all that a run needs; by default Django would make the others wait for "default".
        alias: {"NAME": "machinery", "TEST": {"DEPENDENCIES": []}, **server.django()}
        for alias, server in shared.available().items()
    },
}

MACHINERY = {
    alias: {
        "BROKER": f"orm://{alias}",
        "RESULT_BACKEND": f"orm://{alias}",
        "LOCK": f"orm://{alias}",
        "DATABASE": alias,
    }
    for alias in DATABASES
}
