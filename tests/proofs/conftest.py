"""A place for a proof, on the database of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.site import Site, site


@pytest.fixture
def place(database: str, tmp_path: Path) -> Iterator[Site]:
    with site(database, tmp_path) as place:
        yield place


@pytest.fixture
def toy_place(database: str, tmp_path: Path) -> Iterator[Site]:
    """With a broker outside of the database."""
    with site(database, tmp_path, toy=True) as place:
        yield place
