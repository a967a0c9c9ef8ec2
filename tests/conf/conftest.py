"""A file of settings."""

from pathlib import Path

import pytest

from django_machinery.conf import inheritance, yaml_files

GOOD = """
broker: redis://:hunter2@localhost:6379
default_queue: go_tasks
results_expire_in: 120
concurrency: 2
redis:
  max_idle: 4
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "machinery.yml"
    path.write_text(GOOD)
    return path


@pytest.fixture(autouse=True)
def _nothing_read_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test reads, or has inherited, ends with it."""
    monkeypatch.setattr(yaml_files, "FILES", {})
    monkeypatch.delenv(inheritance.VARIABLE, raising=False)
    inheritance.inherited.cache_clear()
