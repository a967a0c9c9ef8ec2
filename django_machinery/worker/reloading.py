"""Watches the project's code for changes, as `runserver` does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.utils import autoreload


def watch_code(changed: Callable[[], None]) -> None:
    """Call `changed` in another thread whenever a Python file of the project has changed, for as long as this runs.

    Modules that only child processes have imported count too where they belong to an app of the project.
    """
    reloader = autoreload.get_reloader()
    for config in apps.get_app_configs():
        if not {"site-packages", "dist-packages"} & set(Path(config.path).parts):
            reloader.watch_dir(config.path, "**/*.py")

    def notice(*, file_path: Path, **_: Any) -> bool:
        if file_path.suffix == ".py":
            changed()
        return True  # the change is dealt with: this process goes on

    autoreload.file_changed.connect(notice, weak=False)
    main = threading.current_thread()
    threading.Thread(target=reloader.run, args=(main,), name="machinery-reloader", daemon=True).start()
