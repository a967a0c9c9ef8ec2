"""Settings of the tests of the admin pages, which run by themselves: `pytest --ds tests.settings_admin tests/admin`.

The other tests do without Django's own apps, which shows that the task queue does.
"""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, MACHINERY

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *INSTALLED_APPS,
]
MIDDLEWARE = [
    "tests.admin.policy.StrictPolicy",
    "tests.admin.policy.ForgetContentTypes",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.admin.urls"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {"default": DATABASES["default"]}
if name := os.environ.get("MACHINERY_ADMIN_DATABASE"):  # a process that a test started
    DATABASES["default"] = {**DATABASES["default"], **json.loads(name)}
MACHINERY = {"default": MACHINERY["default"]}
