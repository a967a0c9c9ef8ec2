"""The event loop of a worker process: all its `async def` tasks share it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import async_to_sync, sync_to_async

from django_machinery.worker.interrupts import LoopInterrupt

if TYPE_CHECKING:
    from django_machinery.worker.run import Run


class EventLoop:
    """An asyncio loop in a thread of its own, for clients and caches that tasks share.

    A thread that is to run `async def` tasks is started by `start_thread`: only then do its coroutines run here, and
    only then does what they do synchronously (Django's ORM) come back to that thread and its database connections.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def start_thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """Run `target` in a new daemon thread that belongs to this loop."""
        starter = _OneThread(name)
        executor = cast(ThreadPoolExecutor, starter)  # asgiref only calls submit()
        belonging = sync_to_async(target, thread_sensitive=False, executor=executor)
        asyncio.run_coroutine_threadsafe(belonging(), self._running())
        return starter.started()

    def call(self, run: Run, args: Any, kwargs: Any) -> Any:
        """Run an `async def` task to its end and return its result. Blocks the calling thread.

        Raises what the task raises; what `run.interrupt` was called with in place of the CancelledError that it causes.
        """
        return async_to_sync(_interruptible)(run, args, kwargs)

    def close(self) -> None:
        """Cancel what still runs and end the loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="machinery-loop", daemon=True).start()
            return self._loop


class _OneThread(Executor):
    """Runs the one function that it is given in a daemon thread, which a hanging task cannot keep from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Future[threading.Thread] = Future()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from now on nobody can cancel it
        thread = threading.Thread(target=_fulfil, args=(future, function, args, kwargs), name=self._name, daemon=True)
        thread.start()
        self._thread.set_result(thread)
        return future

    def started(self) -> threading.Thread:
        return self._thread.result()


def _fulfil(future: Future[Any], function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        future.set_result(function(*args, **kwargs))
    except BaseException as error:
        future.set_exception(error)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        _run_forever(loop)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    """Until it is stopped: asyncio lets a SystemExit or KeyboardInterrupt in one of its tasks end the loop of all."""
    while True:
        try:
            return loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            pass  # who waits for it has got it too


async def _interruptible(run: Run, args: Any, kwargs: Any) -> Any:
    interrupt = run.interrupt = LoopInterrupt()
    try:
        return await run.definition.func(*args, **kwargs)
    except asyncio.CancelledError:
        if interrupt.kind is None:
            raise
        raise interrupt.kind from None
    finally:
        run.interrupt = None
