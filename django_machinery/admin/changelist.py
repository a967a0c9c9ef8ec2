"""The list of task states as Django makes it, paged by id: which page is shown is no part of what the filters find."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views import main
from django.http import HttpRequest

OLDER_THAN = "id__lt"
"""The parameter of a page: rows with lower ids, the newest first."""


class KeysetChangeList(main.ChangeList):
    """`older_than` is the id before which the page begins; None: the first page."""

    older_than: int | None = None
    note: str = ""
    """What its filters do not look at."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        """All rows that the filters leave, on whatever page."""
        values = self.filter_params.pop(OLDER_THAN, None)
        self.params.pop(OLDER_THAN, None)
        if values:
            self.older_than = _id(values[-1])
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.older_than is not None:
            older = self.queryset.filter(id__lt=self.older_than)
            self.result_list = older[: self.list_per_page]


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise IncorrectLookupParameters(f"{OLDER_THAN}={text}")
    return int(text)
