"""Who did what: rows of Django's `LogEntry`, which its history pages and "recent actions" show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

EACH = 100
"""Up to so many objects of one action have a row each; more have one row together."""


def record(
    user: Any,
    model: type[models.Model],
    what: _StrOrPromise,
    objects: Sequence[tuple[Any, str]] = (),
    *,
    summary: str = "",
    destroyed: bool = False,
) -> None:
    """Note that `user` did `what` with `objects`, each its primary key and its text, or with what `summary` names."""
    rows: Sequence[tuple[Any, str]] = objects if 0 < len(objects) <= EACH and not summary else [(None, summary)]
    content_type = ContentType.objects.get_for_model(model)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user.pk,
            content_type_id=content_type.pk,
            object_id=None if key is None else str(key),
            object_repr=text[:200],
            action_flag=DELETION if destroyed else CHANGE,
            change_message=str(what),
        )
        for key, text in rows
    )
