"""The functions that a `Worker` calls around its tasks (Go: worker.go:399-425). One that raises stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_machinery.protocol.signature import Signature

logger = logging.getLogger("django_machinery.workers")


@dataclass(slots=True)
class Hooks:
    """None: nothing to call."""

    error: Callable[[BaseException], Any] | None = None
    pre_task: Callable[[Signature], Any] | None = None
    post_task: Callable[[Signature], Any] | None = None
    pre_consume: Callable[[], bool] | None = None

    def before(self, signature: Signature) -> None:
        """A task is about to run."""
        if self.pre_task is not None:
            self._call(self.pre_task, signature)

    def after(self, signature: Signature) -> None:
        """A task has run, well or badly."""
        if self.post_task is not None:
            self._call(self.post_task, signature)

    def failed(self, exception: BaseException) -> None:
        """A task has failed for good, or the worker itself met an error."""
        if self.error is not None:
            self._call(self.error, exception)

    def may_consume(self) -> bool:
        """May the worker take messages now?"""
        return self.pre_consume is None or self._call(self.pre_consume) is not False

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:
            logger.exception("A handler of the worker raised")
            return None
