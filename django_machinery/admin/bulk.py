"""An action on everything that a filter of the admin finds, as a task of this very queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin.sites import AdminSite, all_sites
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, QueryDict

from django_machinery.admin import audit, sealed
from django_machinery.admin.actions import ACT_ON_FILTER, CHUNK, OperatorAction, all_that_match
from django_machinery.declare import task
from django_machinery.models import TaskState
from django_machinery.worker.context import TaskContext

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from django_machinery.admin.base import OperatorAdmin


@task(name=ACT_ON_FILTER, takes_context=True)
def act_on_filter(context: TaskContext, site: str, model: str, action: str, query: str, user: str, seal: str) -> int:
    """Do `action` with every row but its own that the filter `query` finds now; returns how many it changed.

    Rows are taken in the order of their ids, up to the newest there is at the start: a row that the action makes
    match again is not taken twice, and a second run after a crash finds what is left. Whatever is done has an audit
    row before. Raises `PermissionDenied` unless the admin sent this very task for a user who may still do it.
    """
    sealed.verify(context.signature, (site, model, action, query, user), seal)
    request = _request(query, user)
    admin = _admin(site, model)
    chosen = _permitted(admin, request, action)
    rows = admin.get_changelist_instance(request).get_queryset(request).order_by("id")
    newest = rows.order_by("-id").values_list("id", flat=True).first()
    rows = rows.filter(id__lte=newest or 0)
    if admin.model is TaskState:
        rows = rows.exclude(uuid=context.uuid)
    summary = all_that_match(query, context.uuid)
    audit.record(request.user, admin.model, chosen.label, summary=summary, destroyed=chosen.destroys)
    return _in_chunks(context, chosen, rows, admin.get_queryset(request), request)


def _in_chunks(
    context: TaskContext, action: OperatorAction, rows: QuerySet[Any], all_rows: QuerySet[Any], request: HttpRequest
) -> int:
    total, done, changed, last = rows.count(), 0, 0, 0
    while chunk := list(rows.filter(id__gt=last).values_list("id", flat=True)[:CHUNK]):
        if context.cancelled:
            break
        applied = action.apply(all_rows.filter(id__in=chunk), request.user.get_username())
        if applied.doubtful:
            raise applied.problems[-1]
        changed += applied.changed
        done, last = done + len(chunk), chunk[-1]
        context.progress(done, max(total, done))
    return changed


def _request(query: str, user: str) -> HttpRequest:
    """The request as it was made, as far as a filter and a permission depend on it."""
    request = HttpRequest()
    request.method = "GET"
    request.GET = cast(Any, QueryDict(query))
    request.user = get_user_model()._default_manager.get(pk=user)
    return request


def _admin(site: str, model: str) -> OperatorAdmin[Any]:
    """The page of that model on the admin site of that name."""
    found = [each for each in cast("list[AdminSite]", list(all_sites)) if each.name == site]
    registry = {kind._meta.label_lower: admin for each in found for kind, admin in each._registry.items()}
    return cast("OperatorAdmin[Any]", registry[model])


def _permitted(admin: OperatorAdmin[Any], request: HttpRequest, name: str) -> OperatorAction:
    """The action of that name, if the user may still use it. Raises `PermissionDenied`."""
    user: Any = request.user
    if not (user.is_active and user.is_staff and name in admin.get_actions(request)):
        raise PermissionDenied(f"{user} may not {name}")
    return cast(OperatorAction, next(action for action in admin.actions or () if action.name == name))  # type: ignore[union-attr]
