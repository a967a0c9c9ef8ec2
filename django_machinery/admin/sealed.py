"""Arguments of a task that nobody can make up: sealed with the project's SECRET_KEY, for one task alone.

Whoever may make schedules or run tasks again chooses what is sent; a seal shows that it was this admin.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, Signer

from django_machinery.protocol import headers
from django_machinery.protocol.signature import Signature

_SALT = "django_machinery.admin"


def seal(uuid: str, args: Sequence[str]) -> str:
    """What belongs to these arguments of the task with that UUID."""
    return Signer(salt=_SALT).signature(_text(uuid, args))


def verify(signature: Signature, args: Sequence[str], given: str) -> None:
    """Raises `PermissionDenied` unless the seal is of this very task, in its first generation."""
    signer = Signer(salt=_SALT)
    try:
        signer.unsign(f"{_text(signature.uuid, args)}{signer.sep}{given}")
    except BadSignature:
        raise PermissionDenied("this was not asked for in the admin") from None
    if headers.generation(signature):
        raise PermissionDenied("what was asked for in the admin is done once: ask for it again there")


def _text(uuid: str, args: Sequence[str]) -> str:
    return json.dumps([uuid, *args])
