"""Servers for the tests of `django_machinery.testing`."""

from typing import Any

from tests import toys
from tests.contracts.support import unique


def eager() -> dict[str, Any]:
    return {"BROKER": "eager://", "RESULT_BACKEND": "eager://", "LOCK": "eager://"}


def push() -> dict[str, Any]:
    """A broker that cannot delay, so that delays wait in the outbox."""
    return {**eager(), "BROKER": f"push://{unique('server')}", "DRIVERS": toys.DRIVERS}


def orm() -> dict[str, Any]:
    return {"BROKER": "orm://default", "RESULT_BACKEND": "orm://default", "LOCK": "orm://default"}
