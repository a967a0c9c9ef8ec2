"""The original's YAML file as settings, and following what becomes of it while workers run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from django_machinery.conf.original import from_document
from django_machinery.conf.reading import server_config, server_problems
from django_machinery.exceptions import ConfigurationError

LOOK_EVERY = 2.0
"""Seconds between two looks at the file."""
TUNABLE = frozenset(
    {
        "CONCURRENCY",
        "MAX_CRASHES",
        "MAX_MESSAGE_BYTES",
        "MAX_MESSAGE_DEPTH",
        "MAX_MESSAGE_ELEMENTS",
        "MAX_THREADS",
        "REDIS_NORMAL_TASKS_POLL_PERIOD",
        "RESULTS_EXPIRE_IN",
        "SHUTDOWN_TIMEOUT",
    }
)
"""What may change while workers run; everything else needs a restart."""

logger = logging.getLogger("django_machinery.settings")


class FileSettings(dict[str, Any]):
    """The settings of one server, and the file that they come from."""

    def __init__(self, values: Mapping[str, Any], path: Path, *, reload: bool) -> None:
        super().__init__(values)
        self.path = path
        self.reload = reload


def from_yaml(path: str | os.PathLike[str], reload: bool = True) -> FileSettings:
    """The settings of one server, for MACHINERY, from the original's YAML file. Needs the extra `yaml`.

    With `reload` a worker takes up changes of `TUNABLE` settings within seconds, by replacing its processes; of other
    settings it says that they need a restart. A file that cannot be used any more changes nothing, and the log says
    why. (Go: config.NewFromYaml, which ends reading after 1,000 bytes: keep a file that both read shorter than that.)

    Raises ConfigurationError.
    """
    file = Path(path).resolve()
    accepted = os.environ.get(_variable(file))
    values = _read(file) if accepted is None else json.loads(accepted)
    return FileSettings(values, file, reload=reload)


def follow(alias: str, changed: Callable[[], object]) -> None:
    """Take up changes of the file behind that server, if there is one, for as long as this process runs.

    `changed` is called, in another thread, when `server_config(alias)` has become another. Processes that are started
    from now on get the same settings as this one, whatever the file then says.
    """
    current = settings.MACHINERY.get(alias) if isinstance(getattr(settings, "MACHINERY", None), Mapping) else None
    if isinstance(current, FileSettings) and current.reload:
        follower = Follower(alias, current, changed)
        threading.Thread(target=follower.run, name="machinery-settings", daemon=True).start()


class Follower:
    """Looks at the file again and again."""

    def __init__(self, alias: str, current: FileSettings, changed: Callable[[], object]) -> None:
        self._alias = alias
        self._current = current
        self._changed = changed
        self._seen = self._stamp()
        self._hand_down()

    def run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Take up what has changed since the last look."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            wanted = _read(self._current.path)
        except ConfigurationError as error:
            logger.warning("Settings stay as they are: %s", error, extra={"server": self._alias})
            return
        self._take_up(wanted)

    def _take_up(self, wanted: dict[str, Any]) -> None:
        different = {name for name in {*wanted, *self._current} if wanted.get(name) != self._current.get(name)}
        fixed = sorted(different - TUNABLE)
        if fixed:
            logger.warning("These settings need a restart: %s", ", ".join(fixed), extra={"server": self._alias})
        tuned = different & TUNABLE
        if tuned:
            for name in tuned:
                self._current.pop(name, None)
            self._current.update({name: wanted[name] for name in tuned if name in wanted})
            server_config.cache_clear()
            self._hand_down()
            logger.info("New settings: %s", ", ".join(sorted(tuned)), extra={"server": self._alias})
            self._changed()

    def _hand_down(self) -> None:
        os.environ[_variable(self._current.path)] = json.dumps(self._current)

    def _stamp(self) -> tuple[float, int] | None:
        try:
            status = self._current.path.stat()
        except OSError:
            return None
        return status.st_mtime, status.st_size


def _read(path: Path) -> dict[str, Any]:
    """What the file says, if it can be used."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigurationError("from_yaml needs the extra: pip install 'django-machinery[yaml]'") from error
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The text of the error itself shows lines of the file, and with them passwords.
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise ConfigurationError(f"{path}{where}: {getattr(error, 'problem', None) or 'no text'}") from None
    values = from_document(document)
    if found := list(server_problems(str(path), values)):
        raise ConfigurationError("\n".join(map(str, found)))
    return values


def _variable(path: Path) -> str:
    """The environment variable in which a supervisor hands its children what it has accepted of that file."""
    return f"MACHINERY_FILE_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
