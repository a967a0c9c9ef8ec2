"""Installed packages and their files. Nothing here imports the package that it looks at."""

from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path


@cache
def installed_packages() -> tuple[str, ...]:
    """The top-level packages of the installed distributions, sorted: what may be indexed."""
    names = {name for name in packages_distributions() if name.isidentifier() and not name.startswith("_")}
    return tuple(sorted(name for name in names if _directory(name) is not None))


@cache
def package_directory(package: str) -> Path:
    """The directory of an installed package. Raises LookupError where there is none of that name."""
    directory = _directory(package) if package in installed_packages() else None
    if directory is None:
        raise LookupError(f"No package named {package!r} is installed")
    return directory


def python_files(package: str) -> list[str]:
    """Every Python file of a package, sorted, as paths that start with the package: "django/db/models/query.py".

    They are the same on every machine that has the package. Raises LookupError.
    """
    directory = package_directory(package)
    files = (file for file in directory.rglob("*.py") if file.is_file() and not file.is_symlink())
    return sorted(file.relative_to(directory.parent).as_posix() for file in files)


def source_file(path: str) -> Path:
    """Where on this machine a path of `python_files` is.

    Paths arrive in messages, and a message must not choose what a worker reads: raises LookupError for a package that
    is not installed and ValueError for a path that leads out of its package.
    """
    directory = package_directory(path.partition("/")[0])
    file = (directory.parent / path).resolve()
    if not file.is_relative_to(directory):
        raise ValueError(f"{path!r} is not inside the package {directory.name!r}")
    return file


def _directory(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or not spec.has_location or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).resolve()
