"""Settings of the product's processes: one store, the app with all its defaults."""

import os
from typing import Any

from tests.benchmarks.target import SQLITE_PRAGMAS, STATS, Target

TARGET = Target.of_environment()

SECRET_KEY = "not a secret: a benchmark serves nobody"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django_machinery", "tests.benchmarks"]

ENGINES: dict[str, dict[str, Any]] = {
    "postgres": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": TARGET.name,
        "HOST": TARGET.host,
        "USER": "postgres",
    },
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": TARGET.name,
        "OPTIONS": {"init_command": "; ".join(SQLITE_PRAGMAS), "transaction_mode": "IMMEDIATE", "timeout": 20},
    },
}
DATABASES = {"default": ENGINES["sqlite" if TARGET.engine == "redis" else TARGET.engine]}
URL = TARGET.host if TARGET.engine == "redis" else "orm://default"
MACHINERY = {"default": {"BROKER": URL, "RESULT_BACKEND": URL, "LOCK": URL, "STATS": os.environ.get(STATS) != "0"}}
