"""The index's own tables in Django's admin, to look at."""

from django.contrib import admin

from testproject.codeindex.models import Identifier, Index, SourceFile

admin.site.register([Index, SourceFile, Identifier])
