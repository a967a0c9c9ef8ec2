"""A place for a child process: one child at a time, replaced when it ends, with back-off when it keeps dying."""

from __future__ import annotations

from time import monotonic

from django_machinery.worker.child_process import ChildProcess

STEADY = 5.0
"""Seconds after which a child's end says nothing about the next one."""
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0


class Place:
    """One of the places that a supervisor keeps filled."""

    def __init__(self) -> None:
        self.child: ChildProcess | None = None
        self.awaited = False
        """A child is about to be started."""
        self.done = False
        """It needs no child any more: everything is drained."""
        self._early_deaths = 0
        self._not_before = 0.0

    @property
    def vacant(self) -> bool:
        """Is it time to start a child here?"""
        return not (self.child or self.awaited or self.done) and monotonic() >= self._not_before

    def vacate(self) -> None:
        """Its child has ended. The first to die early is replaced at once, later ones after a growing delay."""
        assert self.child is not None
        early = not self.child.ended_on_purpose and self.child.age < STEADY
        self.child = None
        self._early_deaths = self._early_deaths + 1 if early else 0
        if self._early_deaths > 1:
            delay = min(FIRST_DELAY * 2.0 ** (self._early_deaths - 2), LONGEST_DELAY)
            self._not_before = monotonic() + delay

    def try_again(self) -> None:
        """Something has changed that may have made the children die: forget the delay."""
        self._early_deaths = 0
        self._not_before = 0.0
