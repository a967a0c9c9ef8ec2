"""Django's own admin site, and one that a project made itself."""

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.http import HttpResponse
from django.urls import path

from django_machinery.models import TaskState

own_site = AdminSite(name="own")
admin.autodiscover()
for model, page in admin.site._registry.items():
    if model._meta.app_label == TaskState._meta.app_label:
        own_site.register(model, type(page))

urlpatterns = [
    path("admin/", admin.site.urls),
    path("own/", own_site.urls),
    path("favicon.ico", lambda request: HttpResponse(status=204)),  # which browsers ask for by themselves
]
