"""What the tests of the ORM driver share: drivers on the database of a test, and on one that is away."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connections

from django_machinery.models import Message


@contextmanager
def away(alias: str) -> Iterator[None]:
    """Let connections to a database fail, as they do when its server is down or its file is gone."""
    connection = connections[alias]
    connection.close()
    settings = connection.settings_dict
    kept = dict(settings)
    settings["NAME" if connection.vendor == "sqlite" else "HOST"] = "/nowhere/at/all"
    try:
        yield
    finally:
        connection.close()
        settings.update(kept)
        with (
            warnings.catch_warnings()
        ):  # PyMySQL leaves the socket of a connection that failed to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def inject(alias: str, queue: str, body: bytes) -> None:
    """Put a body on a queue that no signature encodes to."""
    now = datetime.now(UTC)
    Message.objects.using(alias).create(
        uuid=f"injected-{now.timestamp()}",
        queue=queue,
        name="",
        status=0,
        rank=0,
        due_at=now,
        created_at=now,
        body=body.decode(),
    )
