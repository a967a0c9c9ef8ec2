"""Child processes that do not outlive the test run."""

import shutil
from collections.abc import Sequence


def tethered(command: Sequence[str]) -> list[str]:
    """Return `command` so wrapped that the kernel kills it when the thread that starts it ends, kill -9 included.

    Only Linux offers this (prctl PR_SET_PDEATHSIG, through util-linux's setpriv, which executes and does not fork).
    Elsewhere the command is returned as it is.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)
