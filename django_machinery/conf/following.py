"""Following what becomes of a file of settings while workers run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from django.conf import settings

from django_machinery.conf.reading import server_config
from django_machinery.conf.yaml_files import FILES, FileSettings, read, stamp_of
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


def follow(alias: str, changed: Callable[[], object]) -> None:
    """Take up changes of the file behind that server, if there is one, for as long as this process runs.

    `changed` is called, in another thread, when `server_config(alias)` has become another.
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
        self._seen = current.stamp
        FILES[current.path] = current  # what is taken up is what children inherit

    def run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Take up what has changed since the last look."""
        stamp = stamp_of(self._current.path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            wanted = read(self._current.path)
        except ConfigurationError as error:
            logger.warning("Settings stay as they are: %s", error, extra={"server": self._alias})
            return
        for problem in wanted.unknown:
            if problem not in self._current.unknown:
                logger.warning("%s", problem, extra={"server": self._alias})
        self._current.unknown = wanted.unknown
        self._take_up(wanted)

    def _take_up(self, wanted: FileSettings) -> None:
        different = {name for name in {*wanted, *self._current} if wanted.get(name) != self._current.get(name)}
        fixed = sorted(different - TUNABLE)
        if fixed:
            logger.warning("These settings need a restart: %s", ", ".join(fixed), extra={"server": self._alias})
        tuned = different & TUNABLE
        if tuned:
            self._current.update({name: wanted[name] for name in tuned if name in wanted})
            for name in tuned - wanted.keys():
                del self._current[name]
            server_config.cache_clear()
            logger.info("New settings: %s", ", ".join(sorted(tuned)), extra={"server": self._alias})
            self._changed()
