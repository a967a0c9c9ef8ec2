"""What a visitor may ask for."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from testproject.codeindex.packages import installed_packages, python_files


class PackageForm(forms.Form):
    """Names one of the installed packages."""

    package = forms.CharField(
        max_length=200,
        widget=forms.TextInput(
            attrs={"list": "installed", "placeholder": "django", "autocomplete": "off", "autofocus": True}
        ),
    )

    @property
    def installed(self) -> tuple[str, ...]:
        """The names to choose from."""
        return installed_packages()

    def clean_package(self) -> Any:
        package = self.cleaned_data["package"]
        if package not in installed_packages():
            raise ValidationError("No package of that name is installed.", code="not_installed")
        if not python_files(package):
            raise ValidationError("That package has no Python files.", code="no_files")
        return package
