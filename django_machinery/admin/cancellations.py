"""Cancellations: who asked that which task ends, and whether it did."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_machinery.admin import looks
from django_machinery.admin.base import OperatorAdmin
from django_machinery.models import Cancellation


@admin.register(Cancellation)
class CancellationAdmin(OperatorAdmin[Cancellation]):
    """Every request to cancel a task."""

    list_display = ("task", "server", "asked", "requested_by", "applied")
    list_display_links = None
    search_fields = ("uuid__exact", "requested_by__exact")
    search_help_text = _("The UUID of a task, or the name of a user")
    fields = ("uuid", "server", "generation", "requested_at", "requested_by", "applied_at")

    @admin.display(description=_("task"))
    def task(self, cancellation: Cancellation) -> SafeString:
        find = reverse("admin:machinery_taskstate_find", current_app=self.admin_site.name)
        link = f"{find}?{urlencode({'uuid': cancellation.uuid})}"
        return format_html('<a class="mq-name" href="{}">{}</a>', link, looks.breakable(cancellation.uuid))

    @admin.display(description=_("asked"))
    def asked(self, cancellation: Cancellation) -> str:
        return looks.ago(cancellation.requested_at)

    @admin.display(description=_("done"))
    def applied(self, cancellation: Cancellation) -> str:
        return looks.ago(cancellation.applied_at)
