from django.apps import AppConfig


class CodeIndexConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "testproject.codeindex"
    verbose_name = "Code index"
