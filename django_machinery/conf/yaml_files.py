"""The original's YAML file as settings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from django_machinery.conf.inheritance import handing_down, inherited
from django_machinery.conf.original import NAMES_IN_FILE, from_document
from django_machinery.conf.reading import Fault, Problem, closest, server_problems
from django_machinery.exceptions import ConfigurationError

Stamp = tuple[int, int, int]
"""What tells two versions of a file apart."""


class FileSettings(dict[str, Any]):
    """The settings of one server, and the file that they come from."""

    def __init__(
        self,
        values: Mapping[str, Any],
        path: Path,
        *,
        reload: bool = True,
        unknown: tuple[Problem, ...] = (),
        stamp: Stamp | None = None,
    ) -> None:
        super().__init__(values)
        self.path = path
        self.reload = reload
        self.unknown = unknown
        """The names in the file that mean nothing here."""
        self.stamp = stamp
        """The version of the file, where it is known."""


FILES: dict[Path, FileSettings] = {}
"""What this process has accepted of the files that it has read."""


def from_yaml(path: str | os.PathLike[str], reload: bool = True) -> FileSettings:
    """The settings of one server, for MACHINERY, from the original's YAML file. Needs the extra `yaml`.

    With `reload` a worker takes up changes of tunable settings within seconds, by replacing its processes; of other
    settings it says that they need a restart. A file that cannot be used any more changes nothing, and the log says
    why. (Go: config.NewFromYaml, which ends reading after 1,000 bytes: keep a file that both read shorter than that.)

    Raises ConfigurationError.
    """
    file = Path(path).absolute()  # links are not resolved: a new version may come as another target
    values = inherited().get(str(file))
    current = read(file) if values is None else FileSettings(values, file)
    current.reload = reload
    FILES.setdefault(file, current)
    return current


def handed_down() -> AbstractContextManager[tuple[dict[str, str], tuple[int, ...]]]:
    """What a child needs to work with this process's settings: variables, and descriptors to pass on."""
    return handing_down({str(path): dict(current) for path, current in FILES.items()})


def unknown_names() -> Iterator[Problem]:
    """What the files name that means nothing here: a mistake, or another program's."""
    for current in FILES.values():
        yield from current.unknown


def read(path: Path) -> FileSettings:
    """What the file says, if it can be used. Raises ConfigurationError."""
    stamp = stamp_of(path)
    values, unknown = from_document(*_load(path))
    if found := list(server_problems(str(path), values)):
        raise ConfigurationError("\n".join(map(str, found)))
    return FileSettings(values, path, unknown=tuple(_unknown(path, name) for name in unknown), stamp=stamp)


def stamp_of(path: Path) -> Stamp | None:
    """The version of what the path leads to; None: to nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _load(path: Path) -> tuple[Any, Any]:
    """The document in the file, with values and with the texts that they are written as."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigurationError("from_yaml needs the extra: pip install 'django-machinery[yaml]'") from error

    class Values(yaml.SafeLoader):
        """Dates are text, as in Go."""

    Values.add_constructor("tag:yaml.org,2002:timestamp", _as_written)

    class Texts(Values):
        """All scalars but null are text."""

    for kind in ("bool", "float", "int"):
        Texts.add_constructor(f"tag:yaml.org,2002:{kind}", _as_written)
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Values), yaml.load(text, Texts)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The text of the error itself shows lines of the file, and with them passwords; what is quoted may be one.
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        problem = re.sub("'.*'", "'...'", getattr(error, "problem", None) or "this is no YAML")
        raise ConfigurationError(f"{path}{where}: {problem}") from None


def _as_written(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


def _unknown(path: Path, name: str) -> Problem:
    match = closest(name, list(NAMES_IN_FILE))
    hint = f"Did you mean {match!r}?" if match else ""
    return Problem(Fault.UNKNOWN_NAME, f"{path} has a name that means nothing here: {name!r}.", hint)
