"""The migrations are those of the models."""

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState


def test_the_models_need_no_new_migration():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(graph=loader.graph)
    wanted = [
        f"{label}: {operation.describe()}" for label, new in changes.items() for m in new for operation in m.operations
    ]
    assert not wanted, "Run `python manage.py makemigrations` and commit what it writes"


def test_no_two_migrations_are_the_newest():
    conflicts = MigrationLoader(None, ignore_no_migrations=True).detect_conflicts()
    assert not conflicts, "Run `python manage.py makemigrations --merge`"
