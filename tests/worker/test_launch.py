"""How child processes are started: in whatever way this process was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = {
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
os.environ["PREPARED"] = "by manage.py"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
INSTALLED_APPS = ["shop"]
SECRET_KEY = "x"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
""",
    "shop/__init__.py": "",
    "shop/management/__init__.py": "",
    "shop/management/commands/__init__.py": "",
    "shop/management/commands/parent.py": """
import os, subprocess
from django.core.management.base import BaseCommand
from django_machinery.worker.launch import child_environment, management_command

class Command(BaseCommand):
    requires_system_checks = ()

    def handle(self, **options):
        os.environ.pop("PREPARED", None)
        subprocess.run(management_command("offspring", "--name=x y"), env=child_environment(), check=True)
""",
    "shop/management/commands/offspring.py": """
import os, sys
from django.conf import settings
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("--name")

    def handle(self, **options):
        print(settings.SETTINGS_MODULE, options["name"], os.environ.get("PREPARED", "unprepared"), sys.warnoptions)
""",
    "script.py": """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
django.setup()
from django.core.management import call_command
call_command("parent")
""",
}
ROOT = Path(__file__).resolve().parents[2]
DJANGO_ADMIN = str(Path(sys.executable).with_name("django-admin"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "environment", "prepared"),
    [
        (["manage.py", "parent"], {}, "by manage.py"),
        (["-m", "django", "parent"], {"DJANGO_SETTINGS_MODULE": "site_settings"}, "unprepared"),
        (["-m", "django", "parent", "--settings=site_settings"], {}, "unprepared"),
        ([DJANGO_ADMIN, "parent", "--settings=site_settings"], {"PYTHONPATH": f"{ROOT}{os.pathsep}."}, "unprepared"),
        (["script.py"], {}, "unprepared"),
    ],
    ids=["manage.py", "python -m django", "--settings", "django-admin", "call_command"],
)
def test_a_child_has_the_settings_and_the_code_of_its_parent(
    project: Path, command: list[str], environment: dict[str, str], prepared: str
):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "COV", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-Wignore::ImportWarning", *command],
        cwd=project,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"site_settings x y {prepared} ['ignore::ImportWarning']"
