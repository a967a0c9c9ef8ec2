"""What `manage.py demo` shows: a first task, then a chord, a chain, a delayed and a retried task at once."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import OutputWrapper

from django_machinery import AsyncResult, ChainResult, ChordResult, ResultTimeout, send_chain
from testproject.codeindex.child_worker import ChildWorker
from testproject.codeindex.indexing import send_index
from testproject.codeindex.models import Identifier, Index
from testproject.codeindex.progress_bar import ProgressBar
from testproject.codeindex.tasks import changed_files, fails_once, largest_file, longest_function

URGENT = 9
"""A priority above that of the files, so that what is sent after them does not wait for them all."""
DELAY = timedelta(seconds=2)
SILENCE = 60.0
"""Seconds without a finished task after which the demonstration gives up."""
LOOK = 0.2
"""Seconds between two looks at the results."""
SHOWN = 10
"""How many identifiers are printed."""


class Demonstration:
    """One run, on a worker that has been started."""

    def __init__(self, out: OutputWrapper, worker: ChildWorker, package: str) -> None:
        self._out = out
        self._worker = worker
        self._package = package

    def run(self) -> None:
        """Send everything, wait for it with a progress bar, print what came of it.

        Raises what `AsyncResult.get` raises, `ResultTimeout` also when nothing moves, and `WorkerDied`.
        """
        self._say("Database", f"{settings.DATABASES['default']['NAME']}, migrated")
        self._await_worker()
        start = time.monotonic()
        index, chord = send_index(self._package)
        chain, delayed, retried = self._send_the_rest(index)
        self._say("Sent", f"a chord of {index.files:,} + 1 tasks, a chain of 2, one for later, one that fails at first")
        count = self._watch(chord, [*chain.results, delayed, retried], start)
        seconds = time.monotonic() - start
        self._report_index(index, chord.get())
        self._report_the_rest(chain, delayed, retried)
        rate = f"{count / seconds:,.0f} tasks/s"
        self._say("Figures", f"{count:,} tasks in {seconds:.1f} s ({rate}) with {self._worker.processes} processes")

    def _await_worker(self) -> None:
        """The worker is there when it has answered."""
        start = time.monotonic()
        first = largest_file.using(priority=URGENT).send(self._package)
        self._wait(lambda: int(first.is_completed), 1)
        seconds = f"{time.monotonic() - start:.1f} s"
        self._say("Worker", f"{self._worker.processes} processes under pid {self._worker.pid}, answers after {seconds}")

    def _send_the_rest(self, index: Index) -> tuple[ChainResult, AsyncResult[int], AsyncResult[int]]:
        chain = send_chain(
            largest_file.using(priority=URGENT).signature(self._package),
            longest_function.using(priority=URGENT).partial(),
        )
        delayed = changed_files.using(priority=URGENT, eta=DELAY).send(index.pk)
        retried = fails_once.using(priority=URGENT).send()
        return chain, delayed, retried

    def _watch(self, chord: ChordResult, others: list[AsyncResult[Any]], start: float) -> int:
        """Show a progress bar until all have ended; returns how many tasks there were."""
        single = [chord.callback, *others]
        total = chord.progress.total + len(single)
        bar = ProgressBar(self._out, total, start)

        def done() -> int:
            figure = chord.progress.done + sum(result.is_completed for result in single)
            bar.show(figure)
            return figure

        self._wait(done, total)
        bar.finish(total)
        return total

    def _wait(self, done: Callable[[], int], total: int) -> None:
        """Return when `done` has reached `total`."""
        figure, moved_at = -1, time.monotonic()
        while (now := done()) < total:
            self._worker.check()
            if now != figure:
                figure, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > SILENCE:
                raise ResultTimeout(f"No task has ended for {SILENCE:.0f} s. {self._worker.last_lines()}")
            time.sleep(LOOK)

    def _report_index(self, index: Index, different: int) -> None:
        index.refresh_from_db()
        assert index.finished_at is not None
        seconds = (index.finished_at - index.created_at).total_seconds()
        rate = f"{index.files / seconds:,.0f} files/s"
        self._say("Chord", f"{index.files:,} files in {seconds:.1f} s ({rate}), {index.lines:,} lines")
        self._out.write(f"\n{different:,} different names, the most used are\n")
        for name in Identifier.objects.filter(index=index)[:SHOWN]:
            self._out.write(f"  {name.uses:>9,}  in {name.in_files:>5,} files  {name.name}")
        self._out.write("")

    def _report_the_rest(self, chain: ChainResult, delayed: AsyncResult[int], retried: AsyncResult[int]) -> None:
        name, lines, path = chain.get()
        self._say("Chain", f"the longest function of the largest file, {path}, is {name} with {lines:,} lines")
        self._say("Delayed", f"{delayed.get():,} files changed in the {DELAY.seconds} s before it ran")
        self._say("Retried", f"succeeded at attempt {retried.get()}")

    def _say(self, what: str, text: str) -> None:
        self._out.write(f"{what:<9} {text}")
