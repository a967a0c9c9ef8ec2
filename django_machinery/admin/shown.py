"""Arguments and texts of tasks as they may be shown: what is sensitive is hidden by the rules of the task's server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_machinery.exceptions import DecodeError, MachineryError
from django_machinery.handler import servers
from django_machinery.inspector.masking import mask_text, secrets_of, shown_args
from django_machinery.protocol.codec import decode_signature

if TYPE_CHECKING:
    from django_machinery.models import TaskState
    from django_machinery.protocol.codec import Data
    from django_machinery.protocol.signature import Signature
    from django_machinery.server import Server


class Shown:
    """One message of a server. `signature` is None where it cannot be decoded."""

    def __init__(self, server: str, message: Data) -> None:
        self._server = _server(server)
        self._secrets: set[str] | None = None
        self.signature = _decoded(message)

    @classmethod
    def of(cls, task: TaskState) -> Shown:
        """That of a task."""
        return cls(task.server, task.signature)

    @property
    def arguments(self) -> list[tuple[str, str]] | None:
        """Name or index, and value as JSON; None where they are not known."""
        if self._server is None or self.signature is None:
            return None
        return shown_args(self.signature, self._server.registry, self._server.config.mask)

    def text(self, text: str) -> str:
        """An error, a traceback or a result of it."""
        if not text:
            return ""
        if self._server is None:
            return mask_text(text)
        if self._secrets is None:
            known = self.signature is not None
            config = self._server.config
            self._secrets = secrets_of(self.signature, self._server.registry, config.mask) if known else set()  # type: ignore[arg-type]
        return mask_text(text, self._server.config.mask, self._secrets)


def _decoded(message: Data) -> Signature | None:
    try:
        return decode_signature(message)
    except DecodeError:
        return None


def _server(alias: str) -> Server | None:
    """None: rows may be left of a server that the settings no longer name."""
    try:
        return servers[alias]
    except MachineryError:
        return None
