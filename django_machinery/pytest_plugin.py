"""Fixtures, for the entry point `pytest11`. Loaded before Django is set up: it imports nothing that needs settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_machinery.testing import Outbox


@pytest.fixture
def machinery_outbox() -> Iterator[Outbox]:
    """What the test sends, as `django_machinery.testing.captured_tasks` records it."""
    from django_machinery.testing import captured_tasks  # once Django is set up

    with captured_tasks() as outbox:
        yield outbox
