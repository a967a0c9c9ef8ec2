"""`manage.py demo`: the queue at work on real files, with nothing but SQLite."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from django_machinery import MachineryError
from testproject.codeindex.child_worker import WorkerDied, running_worker
from testproject.codeindex.demonstration import Demonstration
from testproject.codeindex.packages import package_directory

NEXT = """
Look next
  {python} manage.py runworker
      the worker, in a terminal of its own
  {python} manage.py runserver
      the index as a page that asks for a package: http://127.0.0.1:8000/
  {python} manage.py machinery --help
      what waits, what is dead, sending by hand
  testproject/codeindex/tasks.py
      the tasks that have just run
  README.md
      a project of your own in five minutes
"""


class Command(BaseCommand):
    help = "Index the source code of an installed package with a worker of its own, and show what happens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--package", default="django", help="an installed package (default: %(default)s)")
        parser.add_argument("--processes", type=int, default=2, help="processes of the worker (default: %(default)s)")

    def handle(self, *args: Any, package: str, processes: int, **options: Any) -> None:
        try:
            package_directory(package)
            call_command("migrate", verbosity=0)
            with running_worker(processes) as worker:
                Demonstration(self.stdout, worker, package).run()
        except (LookupError, WorkerDied, MachineryError) as error:
            raise CommandError(f"The demonstration failed. {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; the worker has been stopped.", returncode=130) from None
        self.stdout.write(NEXT.format(python=_python()))


def _python() -> str:
    """This interpreter as one would type it here."""
    path = os.path.relpath(sys.executable)
    return sys.executable if path.startswith(os.pardir) else path
