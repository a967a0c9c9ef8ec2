"""CPU time and memory of processes, read from /proc: on systems without it, None."""

from collections.abc import Iterator
from os import sysconf
from pathlib import Path

PROC = Path("/proc")
KIBIBYTES_IN_MEGABYTE = 1000 / 1.024


def cpu_seconds(*roots: int) -> float | None:
    """Seconds that these processes and all below them have run, those included that have ended and were waited for."""
    if not PROC.is_dir():
        return None
    ticks = sum(sum(_times(pid)) for root in roots for pid in tree(root))
    return ticks / sysconf("SC_CLK_TCK")


def tree(root: int) -> Iterator[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    pending = [root]
    while pending:
        pid = pending.pop()
        yield pid
        pending.extend(children.get(pid, ()))


def reset_peak(pid: int) -> float:
    """Forget how large a process of our own has been; returns its resident memory now, in megabytes."""
    (PROC / str(pid) / "clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """The most resident memory since `reset_peak`, in megabytes."""
    return _status(pid, "VmHWM")


def resident(*roots: int) -> float | None:
    """Megabytes of these processes and all below them; a page that several share counts as one (proc(5), Pss)."""
    if not PROC.is_dir():
        return None
    return sum(_proportional(pid) for root in roots for pid in tree(root))


def command(pid: int) -> str:
    return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ").strip()


def _times(pid: int) -> list[int]:
    """utime, stime, and both of the children that were waited for (proc(5))."""
    return [int(field) for field in _stat(pid)[11:15]]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when the process has gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _proportional(pid: int) -> float:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / KIBIBYTES_IN_MEGABYTE


def _status(pid: int, key: str) -> float:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / KIBIBYTES_IN_MEGABYTE
