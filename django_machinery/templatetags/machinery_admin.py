"""The tags of the admin pages. Django loads every app's tags, also in projects without its admin."""

from django import template
from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from django_machinery.admin.tags import register
else:
    register = template.Library()
