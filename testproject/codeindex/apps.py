from django.apps import AppConfig


class CodeIndexConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "testproject.codeindex"
    verbose_name = "Code index"

    def ready(self) -> None:
        """Declare the task that is beside what it calls, and not in `tasks`, which is loaded for every app."""
        from testproject.codeindex import indexing  # noqa: F401
