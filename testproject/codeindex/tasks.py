"""The tasks of the index. What they find goes into the tables; messages carry keys, paths and figures."""

from collections import Counter

from django.utils import timezone

from django_machinery import TaskContext, task
from testproject.codeindex.models import Identifier, Index, SourceFile
from testproject.codeindex.packages import python_files, source_file
from testproject.codeindex.parsing import count_identifiers, find_longest_function

TOP = 100
"""How many identifiers an index keeps."""


@task
def index_file(index: int, path: str) -> int:
    """Store the counts of one file; returns how many identifiers it uses.

    After a crash a second run leaves the row of the first. Not `atomic`: the transaction would hold SQLite's only write
    lock while the file is parsed.
    """
    counts = count_identifiers(source_file(path).read_bytes())
    row = SourceFile(index_id=index, path=path, lines=counts.lines, identifiers=counts.identifiers, error=counts.error)
    SourceFile.objects.bulk_create([row], ignore_conflicts=True)
    return counts.total


@task(atomic=True)
def merge_index(index: int, *identifiers: int) -> int:
    """Complete an index from its files; returns how many different identifiers there are.

    The callback of the chord: `identifiers` are the results of all `index_file`, in the order of the files. Replaces
    older indexes of the package.
    """
    this = Index.objects.get(pk=index)
    if len(identifiers) != this.files:
        raise ValueError(f"{len(identifiers)} results for {this.files} files")
    uses, in_files, lines = _total(this)
    Identifier.objects.bulk_create(
        Identifier(index=this, name=name, uses=count, in_files=in_files[name]) for name, count in uses.most_common(TOP)
    )
    this.finished_at, this.lines, this.identifiers = timezone.now(), lines, sum(identifiers)
    this.save()
    Index.objects.filter(package=this.package, pk__lt=index, finished_at__isnull=False).delete()
    return len(uses)


def _total(index: Index) -> tuple[Counter[str], Counter[str], int]:
    """How often each identifier is used, in how many files, and the lines of all files."""
    uses: Counter[str] = Counter()
    in_files: Counter[str] = Counter()
    lines = 0
    for file in SourceFile.objects.filter(index=index).iterator():
        uses.update(file.identifiers)
        in_files.update(file.identifiers.keys())
        lines += file.lines
    return uses, in_files, lines


@task
def largest_file(package: str) -> str:
    """The path of the package's largest Python file."""
    return max(python_files(package), key=lambda path: source_file(path).stat().st_size)


@task
def longest_function(path: str) -> tuple[str, int, str]:
    """Name and lines of the longest function of a file, and the file."""
    return *find_longest_function(source_file(path).read_bytes()), path


@task
def changed_files(index: int) -> int:
    """How many files of the package were changed since the index was begun."""
    this = Index.objects.get(pk=index)
    begun = this.created_at.timestamp()
    changed = [path for path in python_files(this.package) if source_file(path).stat().st_mtime > begun]
    return len(changed)


@task(takes_context=True, retry_count=3)
def fails_once(context: TaskContext) -> int:
    """Fails at its first attempt, to show what a retry is; returns the number of the attempt that succeeded."""
    if context.attempt == 1:
        raise ConnectionError("the first attempt fails on purpose")
    return context.attempt
