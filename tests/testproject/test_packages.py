import sys

import pytest

from testproject.codeindex.packages import installed_packages, package_directory, python_files, source_file


def test_the_packages_of_installed_distributions_are_found():
    assert {"django", "msgspec", "pytest"} <= set(installed_packages())


def test_modules_of_the_standard_library_and_private_packages_are_not_offered():
    assert "json" not in installed_packages()
    assert "_pytest" not in installed_packages()


def test_files_are_named_from_the_package_on():
    files = python_files("django")
    assert "django/db/models/query.py" in files
    assert files == sorted(files)
    assert all(source_file(path).is_file() for path in files)


def test_looking_at_a_package_does_not_import_it():
    assert "xdist" in installed_packages()
    before = set(sys.modules)
    python_files("xdist")
    assert set(sys.modules) == before


@pytest.mark.parametrize("package", ["", "json", "no_such_package", "django.db", "..", "/etc"])
def test_what_is_not_an_installed_package_is_refused(package):
    with pytest.raises(LookupError, match="No package named"):
        package_directory(package)


@pytest.mark.parametrize("path", ["django/../../secret.py", "django/../os.py"])
def test_a_path_cannot_lead_out_of_its_package(path):
    with pytest.raises(ValueError, match="not inside the package"):
        source_file(path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../django/apps.py", "json/decoder.py", ""])
def test_a_path_starts_with_an_installed_package(path):
    with pytest.raises(LookupError):
        source_file(path)
