"""How a running task is interrupted: an exception raised in its thread, or its asyncio task cancelled."""

from __future__ import annotations

import asyncio
import ctypes
import threading


class ThreadInterrupt:
    """Raises an exception in the thread that made this object, at the next Python instruction that it executes.

    At most once, and only until `disarm`: an exception that comes too late must not reach the thread's next task.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._armed = True

    def __call__(self, kind: type[BaseException]) -> None:
        with self._lock:
            if self._armed:
                self._armed = False
                _raise_in(self._thread, ctypes.py_object(kind))

    def disarm(self) -> None:
        """Call it in the thread itself. May raise what was on its way."""
        with self._lock:
            self._armed = False
        _raise_in(self._thread, None)


class LoopInterrupt:
    """Cancels an asyncio task, and remembers what for: its own code sees `asyncio.CancelledError`."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self.kind: type[BaseException] | None = None

    def __call__(self, kind: type[BaseException]) -> None:
        if self.kind is None and self._task is not None:
            self.kind = kind
            self._loop.call_soon_threadsafe(self._task.cancel)


def _raise_in(thread: int, exception: ctypes.py_object[type[BaseException]] | None) -> None:
    """With None, take back an exception that the thread has not noticed yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
