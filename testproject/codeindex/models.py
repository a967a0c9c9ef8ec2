"""What an index consists of: the package as a whole, its files, and the identifiers that are used most."""

from django.db import models


class Index(models.Model):
    """One pass over the Python files of an installed package."""

    package = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    files = models.PositiveIntegerField(help_text="How many files there are to index.")
    group_uuid = models.CharField(max_length=255, blank=True, help_text="The group of tasks that read the files.")
    callback_uuid = models.CharField(max_length=255, blank=True, help_text="The task that completes this index.")
    finished_at = models.DateTimeField(null=True, blank=True)
    lines = models.PositiveIntegerField(default=0)
    identifiers = models.PositiveIntegerField(default=0, help_text="How many times any identifier is used.")

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "indexes"

    def __str__(self) -> str:
        return f"{self.package} ({self.files} files)"


class SourceFile(models.Model):
    """The counts of one file, stored by the task that read it."""

    index = models.ForeignKey(Index, models.CASCADE)
    path = models.CharField(max_length=700, help_text="From the package on: django/db/models/query.py.")
    lines = models.PositiveIntegerField()
    identifiers = models.JSONField(help_text="How often each identifier is used.")
    error = models.CharField(max_length=500, blank=True, help_text="Why Python cannot read the file.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("index", "path"), name="codeindex_one_row_a_file"),)

    def __str__(self) -> str:
        return self.path


class Identifier(models.Model):
    """An identifier among those that a package uses most."""

    index = models.ForeignKey(Index, models.CASCADE)
    name = models.CharField(max_length=500)
    uses = models.PositiveIntegerField()
    in_files = models.PositiveIntegerField()

    class Meta:
        ordering = ("-uses", "name")
        constraints = (models.UniqueConstraint(fields=("index", "name"), name="codeindex_one_row_an_identifier"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.uses}"
