"""What the pages of all tables have in common: they show, and change nothing but through actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from django_machinery.admin.paginator import BoundedPaginator

NUL = "\0"
"""Is in no text that PostgreSQL holds, which refuses even to look for it."""

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:

    class ModelAdmin(admin.ModelAdmin[M]):
        """Django's class takes no parameters at run time."""

else:
    from typing import Generic

    class ModelAdmin(admin.ModelAdmin, Generic[M]):
        """`ModelAdmin` with the parameter that type checkers want."""


def permitted(request: HttpRequest, action: str, model: str) -> bool:
    """Has the user the permission "<action>_<model>" of this app?"""
    user: Any = request.user  # whatever model the project chose
    return bool(user.has_perm(f"machinery.{action}_{model}"))


def refuse_nonsense(request: HttpRequest) -> None:
    """Raises BadRequest for what no list leads to and no database can look for."""
    if any(NUL in text for name, values in request.GET.lists() for text in (name, *values)):
        raise BadRequest("a NUL in the address")
    if not all(_is_key(key) for key in request.POST.getlist(ACTION_CHECKBOX_NAME)):
        raise BadRequest("the key of a row is a number")


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


class Listed(ModelAdmin[M]):
    """A table whose list looks like those of all others."""

    class Media:
        css: ClassVar = {"all": ["machinery/admin.css"]}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, and its actions."""
        refuse_nonsense(request)
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.title = str(self.opts.verbose_name_plural).capitalize()
        return changelist


class OperatorAdmin(Listed[M]):
    """Rows that the queue writes: nobody adds, edits or deletes them by hand; what operators may do are actions.

    Django's delete permission of a model is that of its delete action. Django's own delete pages, which know nothing
    of messages and attempts, are closed.
    """

    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering: ClassVar[tuple[str, ...]] = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return self.may(request, "view")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """May this user delete rows by the action for it?"""
        return self.may(request, "view") and self.may(request, "delete")

    def may(self, request: HttpRequest, action: str) -> bool:
        """Has the user the permission "<action>_<model>"?"""
        return permitted(request, action, str(self.opts.model_name))

    def url(self, page: str, *args: Any) -> str:
        """The address of one of this model's pages on this site."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def page_context(self, request: HttpRequest, **extra: Any) -> dict[str, Any]:
        """What a page of its own needs to look like the others."""
        request.current_app = self.admin_site.name
        return {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media, **extra}
