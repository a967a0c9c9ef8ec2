"""Names that the package must not use, and names that it must not lose."""

import ast

import django_machinery
from tests.guards.package import PACKAGE, dotted, source_files

PROMISED = {
    "AsyncResult",
    "Chain",
    "Chord",
    "Group",
    "RetryLater",
    "Signature",
    "TaskContext",
    "TaskFailed",
    "Worker",
    "periodic",
    "send_chain",
    "send_chord",
    "send_group",
    "send_task",
    "servers",
    "task",
}


def test_no_module_is_called_tasks():
    taken = [dotted(path) for path in source_files() if path.stem == "tasks" or path.parent.name == "tasks"]
    assert not taken, "Autodiscovery loads `tasks` of every installed app, this one too: choose another name"


def test_all_is_sorted_and_lists_what_can_be_imported():
    names = django_machinery.__all__
    assert list(names) == sorted(set(names)), "Sort __all__ of django_machinery"
    absent = [name for name in names if not hasattr(django_machinery, name)]
    assert not absent, "Import these in django_machinery/__init__.py or take them out of __all__"


def test_all_lists_what_type_checkers_find():
    module = ast.parse((PACKAGE / "__init__.py").read_text())
    imports = [node for node in ast.walk(module) if isinstance(node, ast.ImportFrom)]
    found = {
        alias.name for node in imports if (node.module or "").startswith("django_machinery") for alias in node.names
    }
    assert found == set(django_machinery.__all__), "Import a public name and list it in __all__, or do neither"


def test_no_promised_name_is_lost():
    assert set(django_machinery.__all__) >= PROMISED, "The documentation promises these names: keep them importable"
