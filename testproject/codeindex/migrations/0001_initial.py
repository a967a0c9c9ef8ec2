import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Index",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("package", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("files", models.PositiveIntegerField(help_text="How many files there are to index.")),
                (
                    "group_uuid",
                    models.CharField(blank=True, help_text="The group of tasks that read the files.", max_length=255),
                ),
                (
                    "callback_uuid",
                    models.CharField(blank=True, help_text="The task that completes this index.", max_length=255),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("lines", models.PositiveIntegerField(default=0)),
                (
                    "identifiers",
                    models.PositiveIntegerField(default=0, help_text="How many times any identifier is used."),
                ),
            ],
            options={
                "verbose_name_plural": "indexes",
                "ordering": ("-pk",),
            },
        ),
        migrations.CreateModel(
            name="Identifier",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=500)),
                ("uses", models.PositiveIntegerField()),
                ("in_files", models.PositiveIntegerField()),
                ("index", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="codeindex.index")),
            ],
            options={
                "ordering": ("-uses", "name"),
                "constraints": [
                    models.UniqueConstraint(fields=("index", "name"), name="codeindex_one_row_an_identifier")
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "path",
                    models.CharField(help_text="From the package on: django/db/models/query.py.", max_length=700),
                ),
                ("lines", models.PositiveIntegerField()),
                ("identifiers", models.JSONField(help_text="How often each identifier is used.")),
                ("error", models.CharField(blank=True, help_text="Why Python cannot read the file.", max_length=500)),
                ("index", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="codeindex.index")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("index", "path"), name="codeindex_one_row_a_file")],
            },
        ),
    )
