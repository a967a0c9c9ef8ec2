"""The index from the form to its table, on each database engine."""

import pytest
from django.test import Client

from django_machinery.testing import run_tasks
from testproject.codeindex.indexing import follow, send_index
from testproject.codeindex.models import Identifier, Index, SourceFile
from testproject.codeindex.packages import package_directory, python_files
from testproject.codeindex.parsing import count_identifiers
from testproject.codeindex.tasks import changed_files, index_file, largest_file, longest_function

PACKAGE = "xdist"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=False)


def counted(path):
    return count_identifiers((package_directory(PACKAGE).parent / path).read_bytes())


def test_an_index_has_the_counts_of_all_files():
    index, chord = send_index(PACKAGE)
    run_tasks()
    index.refresh_from_db()
    counts = [counted(path) for path in python_files(PACKAGE)]
    assert index.finished_at is not None
    assert index.files == len(counts)
    assert index.lines == sum(count.lines for count in counts)
    assert index.identifiers == sum(count.total for count in counts)
    assert chord.get() == len({name for count in counts for name in count.identifiers})


def test_an_identifier_has_its_uses_and_files():
    index, _ = send_index(PACKAGE)
    run_tasks()
    counts = [counted(path).identifiers for path in python_files(PACKAGE)]
    top = Identifier.objects.filter(index=index)[0]
    assert top.uses == sum(count.get(top.name, 0) for count in counts)
    assert top.in_files == sum(top.name in count for count in counts)


def test_a_file_that_is_indexed_twice_has_one_row():
    index = Index.objects.create(package=PACKAGE, files=1)
    assert index_file(index.pk, "xdist/__init__.py") == index_file(index.pk, "xdist/__init__.py")
    assert SourceFile.objects.filter(index=index).count() == 1


def test_an_index_replaces_the_older_ones_of_its_package():
    older, _ = send_index(PACKAGE)
    run_tasks()
    newer, _ = send_index(PACKAGE)
    assert set(Index.objects.all()) == {older, newer}
    run_tasks()
    assert list(Index.objects.all()) == [newer]


def test_an_index_that_misses_results_fails():
    index, _ = send_index(PACKAGE)
    Index.objects.filter(pk=index.pk).update(files=0)
    run_tasks()
    index.refresh_from_db()
    assert index.finished_at is None
    assert follow(index).error == f"{len(python_files(PACKAGE))} results for 0 files"


def test_the_chain_finds_the_longest_function_of_the_largest_file():
    path = largest_file(PACKAGE)
    name, lines, same = longest_function(path)
    assert same == path
    assert f"def {name}(" in (package_directory(PACKAGE).parent / path).read_text()
    assert lines > 1


def test_files_that_were_changed_before_the_index_do_not_count():
    index = Index.objects.create(package=PACKAGE, files=1)
    assert changed_files(index.pk) == 0


def test_the_form_sends_the_chord_and_leads_to_its_page(client):
    response = client.post("/", {"package": PACKAGE})
    index = Index.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/index/{index.pk}/"
    assert follow(index).total == len(python_files(PACKAGE))


@pytest.mark.parametrize("package", ["", "json", "no_such_package", "../etc", "<script>alert(1)</script>", "x" * 300])
def test_the_form_refuses_what_is_not_an_installed_package(client, package):
    response = client.post("/", {"package": package})
    assert response.status_code == 400
    assert b"errorlist" in response.content
    assert b"<script>" not in response.content
    assert not Index.objects.exists()


def test_the_page_of_an_unfinished_index_shows_progress_and_reloads_itself(client):
    index, _ = send_index(PACKAGE)
    run_tasks(limit=3)
    page = client.get(f"/index/{index.pk}/").content.decode()
    assert f'<progress value="3" max="{index.files}">' in page
    assert 'http-equiv="refresh"' in page


def test_the_page_of_a_finished_index_shows_its_table_and_stays(client):
    index, _ = send_index(PACKAGE)
    run_tasks()
    page = client.get(f"/index/{index.pk}/").content.decode()
    assert f"<code>{Identifier.objects.filter(index=index)[0].name}</code>" in page
    assert "refresh" not in page


def test_the_page_of_a_failed_index_says_why_and_stays(client):
    index, _ = send_index(PACKAGE)
    Index.objects.filter(pk=index.pk).update(files=0)
    run_tasks()
    page = client.get(f"/index/{index.pk}/").content.decode()
    assert "results for 0 files" in page
    assert "refresh" not in page


def test_the_first_page_lists_the_newest_indexes(client):
    index, _ = send_index(PACKAGE)
    assert f'<a href="/index/{index.pk}/">{PACKAGE}</a>' in client.get("/").content.decode()


def test_there_is_no_page_of_an_index_that_is_not_there(client):
    assert client.get("/index/1/").status_code == 404
