"""The Django app: loads every installed app's tasks, the system checks and the logging."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class MachineryConfig(AppConfig):
    """django_machinery in INSTALLED_APPS."""

    name = "django_machinery"
    label = "machinery"
    verbose_name = "Machinery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The checks reach the models, which cannot be imported before the apps are loaded.
        from django_machinery import checks, log

        checks.register_checks()
        autodiscover_modules("tasks")
        log.connect()
