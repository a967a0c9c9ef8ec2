"""What the templates of the admin pages need besides Django's own tags."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.contrib import admin
from django.contrib.admin.sites import AdminSite, all_sites
from django.utils.formats import number_format
from django.utils.safestring import SafeString

from django_machinery.admin import dashboard, looks
from django_machinery.admin.changelist import OLDER_THAN
from django_machinery.admin.paginator import rounded
from django_machinery.admin.shown import Shown
from django_machinery.seams.backend import Estimate

register = template.Library()
register.filter("ago", looks.ago)
register.filter("clock", looks.clock)
register.filter("breakable", looks.breakable)


@register.inclusion_tag("admin/machinery/_dashboard.html", takes_context=True)
def machinery_dashboard(context: template.RequestContext) -> dict[str, Any]:
    """The dashboard, whichever admin site shows the page."""
    request = context["request"]
    return {"request": request, **dashboard.panels(request, _site(request.current_app))}


@register.filter
def pill(state: str, reason: str = "") -> SafeString:
    """A state in its colour."""
    return looks.pill(state, reason)


@register.filter
def big(number: int) -> str:
    """A number with its thousands apart; about, where it is estimated."""
    if isinstance(number, Estimate):
        return f"≈ {number_format(rounded(number), force_grouping=True)}"
    return number_format(number, force_grouping=True)


@register.filter
def seconds(moment: datetime | None, start: datetime | None) -> str:
    """How long it took from `start`."""
    return looks.duration(looks.between(start, moment))


@register.filter
def shown_error(task: Any) -> str:
    """The error of a task, without what is sensitive."""
    return Shown.of(task).text(task.error)


@register.filter
def linesplit(text: str) -> list[str]:
    """The lines of a text."""
    return text.split("\n")


@register.filter
def by_window(row: Any) -> list[tuple[str, int]]:
    """The figures of a row of failures, each with the filter that lists them."""
    return [("1h", row.hour), ("24h", row.day), ("7d", row.week)]


@register.simple_tag
def older_page(changelist: Any) -> str:
    """The address of the rows after those on this page; "" on the last."""
    rows = list(changelist.result_list)
    if len(rows) < changelist.list_per_page:
        return ""
    return str(changelist.get_query_string({OLDER_THAN: rows[-1].pk}))


@register.simple_tag
def newest_page(changelist: Any) -> str:
    """The address of the first page; "" on that."""
    return str(changelist.get_query_string()) if changelist.older_than is not None else ""


def _site(name: str) -> AdminSite:
    return next((site for site in all_sites if site.name == name), admin.site)
