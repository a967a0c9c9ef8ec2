"""What every server that the tests start has in common."""

import glob
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.tether import tethered
from tests.waiting import wait_until


class Service(ABC):
    """A server in the foreground: a child of this process, waited on, ended by its own pid.

    It keeps everything, its socket included, in `directory`, which is private to it. What was committed survives
    `kill`; with `durable` it would also survive the loss of power: for benchmarks, tests are faster without.
    """

    name: ClassVar[str]
    install: ClassVar[str]  # how to get what `missing` names
    programs: ClassVar[tuple[str, ...]]
    modules: ClassVar[tuple[str, ...]]  # the client library
    account: ClassVar[str]  # who runs the server when the tests run as root, which many servers refuse
    search: ClassVar[tuple[str, ...]] = ("/usr/sbin", "/usr/local/sbin")  # where programs are besides PATH
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    crash_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """One line that says what to install before this server can be started; "" when it can."""
        lacking = [program for program in cls.programs if not cls.program(program)]
        lacking += [module for module in cls.modules if not importlib.util.find_spec(module)]
        return f"{cls.name} is not available, {', '.join(lacking)} not found: {cls.install}" if lacking else ""

    @classmethod
    def program(cls, name: str) -> str | None:
        """The path of a program of this server, the newest version where several are installed."""
        folders = sorted(
            (folder for pattern in cls.search for folder in glob.glob(pattern)), key=_version, reverse=True
        )
        return shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self, *, timeout: float = 60.0) -> None:
        """Return when the server answers; the first start creates its data. Raises RuntimeError, with its log."""
        if not self.data.exists():
            self._make_directory()
            self._create_data()
        with self.log.open("ab") as log:
            command = tethered(self._command())
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._isolation())
        try:
            wait_until(self._answers_or_ended, timeout=timeout, message=self._last_words)
            if self._process.poll() is not None:
                raise RuntimeError(self._last_words())
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in good order, clients or not."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it as a crash does: at once, nothing flushed, nothing said to the clients."""
        self._end(self.crash_signal)

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def running(self) -> Iterator[Self]:
        self.start()
        try:
            yield self
        finally:
            if self._process is not None:
                self.stop()

    @abstractmethod
    def _create_data(self) -> None:
        """Fill `data`, once."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command that runs the server in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client got an answer just now."""

    def _make_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.directory, self._account())

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **self._isolation())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout}")

    def _isolation(self) -> dict[str, Any]:
        """A session of its own, so that Ctrl-C reaches pytest alone, and not root."""
        isolation: dict[str, Any] = {"cwd": "/", "stdin": subprocess.DEVNULL, "start_new_session": True}
        if os.geteuid() == 0:
            account = self._account()
            isolation |= {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}
        return isolation

    def _account(self) -> str:
        known = {entry.pw_name for entry in pwd.getpwall()}
        return self.account if self.account in known else "nobody"

    def _answers_or_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None or self._answers()

    def _last_words(self) -> str:
        return f"{self.name} does not answer:\n{self.log.read_text(errors='replace')[-4000:]}"

    def _end(self, signal_: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        self._process.send_signal(signal_)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class DatabaseServer(Service):
    """A server that Django keeps models in."""

    @abstractmethod
    def django(self) -> dict[str, Any]:
        """The entry for DATABASES, without NAME."""


@contextmanager
def stopped(*servers: "Service") -> Iterator[None]:
    """They hang: connections to them are taken, and nothing is answered."""
    pids = [server.pid for server in servers]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A new directory that every account may pass through; its path is short, because it will hold sockets."""
    directory = Path(tempfile.mkdtemp(prefix="machinery-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _version(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]
