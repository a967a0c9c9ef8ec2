"""What the tables promise on every engine."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models

from django_machinery.models import Lock, Message, TaskState
from django_machinery.models.fields import WireCharField, WireTextField
from tests.contracts.lock import seconds
from tests.databases import on_databases


def indexes_of(database: str, model: type[models.Model]) -> dict[str, Any]:
    """The indexes and constraints of a model's table, by name."""
    connection = connections[database]
    with connection.cursor() as cursor:
        return dict(connection.introspection.get_constraints(cursor, model._meta.db_table))


def plan(database: str, statement: str) -> str:
    with connections[database].cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        return "\n".join(row[3] for row in cursor.fetchall())


def test_texts_are_equal_only_when_every_byte_is(database: str):
    names = ["add", "Add", "ADD", "add ", " add", "ädd", "a\u0308dd"]
    rows = Lock.objects.using(database)
    for name in names:
        rows.create(name=name, value=0, token="", expires_at=seconds(60))
    assert [rows.filter(name=name).count() for name in names] == [1] * len(names)


def test_every_text_takes_any_unicode():
    """Other fields would take what the database was created with, on MySQL often Latin 1."""
    other = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_app_config("machinery").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.CharField | models.TextField)
        and not isinstance(field, WireCharField | WireTextField)
    ]
    assert not other, "Use WireCharField or WireTextField"


def test_every_index_is_there_on_every_engine(database: str):
    for model in apps.get_app_config("machinery").get_models():
        declared = {index.name for index in model._meta.indexes}
        assert declared <= set(indexes_of(database, model))


def test_no_text_is_indexed_twice(database: str):
    """Django adds a second index to unique text on PostgreSQL; a UniqueConstraint has none."""
    for model in (Message, TaskState):
        uuid = [found for found in indexes_of(database, model).values() if found["columns"] == ["uuid"]]
        assert len([found for found in uuid if found["index"] or found["unique"]]) == 1


@on_databases("default")
@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT id FROM machinery_message WHERE status = 0 AND queue = 'q' ORDER BY rank_, due_at, id LIMIT 5",
            "claim",
        ),
        ("SELECT id FROM machinery_message WHERE status = 3 AND name IN ('a') AND queue IN ('q')", "parked"),
        ("SELECT id FROM machinery_message WHERE status IN (1, 4) AND status = 1 AND due_at <= '2026'", "due"),
        ("SELECT id FROM machinery_message WHERE status IN (1, 4) AND status = 4 AND due_at <= '2026'", "due"),
    ],
)
def test_hot_statements_use_the_index_that_is_there_for_them(database: str, statement: str, index: str):
    steps = plan(database, statement)
    assert f"machinery_message_{index}" in steps
    assert index == "parked" or "TEMP B-TREE" not in steps


@on_databases("postgres")
def test_messages_are_vacuumed_early(database: str):
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'machinery_message'")
        assert cursor.fetchone() == (["autovacuum_vacuum_scale_factor=0.01"],)


def test_rows_say_what_they_are():
    for model in apps.get_app_config("machinery").get_models():
        assert isinstance(str(model()), str)
