"""Which transaction a task was sent in, so that waiting for it inside that very transaction can be refused."""

from __future__ import annotations

from typing import Any

from django.db import transaction


def open_block(alias: str) -> Any | None:
    """The outermost transaction that is open on a database in this thread, as an opaque object; None outside.

    The transaction that a `TestCase` wraps around a test counts as none, as it does for Django's `durable`.
    """
    connection = transaction.get_connection(alias)
    blocks = getattr(connection, "atomic_blocks", [])
    if not connection.in_atomic_block:
        return None
    return next((block for block in blocks if not getattr(block, "_from_testcase", False)), None)


def still_open(alias: str, block: Any | None) -> bool:
    """Is the transaction that `open_block` returned still open in this thread?"""
    if block is None:
        return False
    return any(block is other for other in transaction.get_connection(alias).atomic_blocks)
