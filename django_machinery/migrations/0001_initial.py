"""All tables."""

from typing import Any, ClassVar

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import django_machinery.models.fields


def vacuum_messages_early(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every claim walks over the rows that are dead but not yet vacuumed: do not wait for a fifth of the table."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE machinery_message SET (autovacuum_vacuum_scale_factor = 0.01)")


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("name", django_machinery.models.fields.WireCharField(max_length=255)),
                ("generation", models.IntegerField(default=0)),
                ("number", models.IntegerField()),
                ("worker", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("outcome", django_machinery.models.fields.WireCharField(max_length=16)),
                ("exception", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("error", django_machinery.models.fields.WireTextField(default="")),
                ("traceback", django_machinery.models.fields.WireTextField(default="")),
            ],
            options={
                "db_table": "machinery_attempt",
                "indexes": [
                    models.Index(
                        fields=["ended_at", "name", "exception", "outcome", "id"], name="machinery_attempt_ended"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("uuid", "generation", "number"), name="machinery_attempt_number")
                ],
            },
        ),
        migrations.CreateModel(
            name="Cancellation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("server", django_machinery.models.fields.WireCharField(max_length=64)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("generation", models.IntegerField(default=0)),
                ("requested_at", models.DateTimeField()),
                ("requested_by", django_machinery.models.fields.WireCharField(blank=True, default="", max_length=255)),
                ("hard", models.BooleanField(default=False)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "machinery_cancellation",
                "verbose_name": "cancellation",
                "verbose_name_plural": "cancellations",
                "constraints": [
                    models.UniqueConstraint(fields=("server", "uuid", "generation"), name="machinery_cancellation_of")
                ],
                "indexes": [
                    django_machinery.models.fields.SparseIndex(
                        fields=["server", "id"],
                        name="machinery_cancellation_open",
                        where=models.Q(("applied_at__isnull", True)),
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("server", django_machinery.models.fields.WireCharField(max_length=64)),
                ("queue", django_machinery.models.fields.WireCharField(max_length=255)),
                ("uuid", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("name", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("body", models.BinaryField()),
                ("reason", django_machinery.models.fields.WireCharField(max_length=32)),
                ("detail", django_machinery.models.fields.WireTextField(default="")),
                ("claims", models.IntegerField(default=0)),
                ("crashes", models.SmallIntegerField(default=0)),
                ("worker", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("sent_at", models.DateTimeField(null=True)),
                ("died_at", models.DateTimeField()),
                ("requeued_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "machinery_dead_letter",
                "verbose_name": "dead letter",
                "verbose_name_plural": "dead letters",
                "permissions": [
                    ("requeue_deadletter", "Can send dead letters again"),
                    ("view_raw_deadletter", "Can see the unmasked messages of dead letters"),
                ],
                "indexes": [
                    models.Index(fields=["died_at"], name="machinery_dead_died"),
                    models.Index(fields=["queue", "died_at"], name="machinery_dead_queue"),
                    models.Index(fields=["uuid"], name="machinery_dead_uuid"),
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupMeta",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("total", models.IntegerField()),
                ("remaining", models.IntegerField()),
                ("failed", models.IntegerField(default=0)),
                ("callback_uuid", django_machinery.models.fields.WireCharField(max_length=255, null=True)),
                ("callback", django_machinery.models.fields.WireTextField(null=True)),
                ("triggered_by", django_machinery.models.fields.WireCharField(max_length=255, null=True)),
                ("created_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "machinery_group_meta",
                "verbose_name": "group meta",
                "verbose_name_plural": "group metas",
                "indexes": [models.Index(fields=["created_at"], name="machinery_group_created")],
                "constraints": [models.UniqueConstraint(fields=("uuid",), name="machinery_group_uuid")],
            },
        ),
        migrations.CreateModel(
            name="Lock",
            fields=[
                (
                    "name",
                    django_machinery.models.fields.WireCharField(max_length=255, primary_key=True, serialize=False),
                ),
                ("value", models.BigIntegerField()),
                ("token", django_machinery.models.fields.WireCharField(max_length=64)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "db_table": "machinery_lock",
                "indexes": [models.Index(fields=["expires_at"], name="machinery_lock_expires")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("queue", django_machinery.models.fields.WireCharField(max_length=255)),
                ("name", django_machinery.models.fields.WireCharField(max_length=255)),
                (
                    "status",
                    models.SmallIntegerField(
                        choices=[
                            (0, "ready"),
                            (1, "delayed"),
                            (2, "held by a worker"),
                            (3, "parked: a worker did not know the task"),
                            (4, "in the outbox"),
                            (5, "ready, but to be run alone"),
                        ]
                    ),
                ),
                ("rank", models.SmallIntegerField(db_column="rank_")),
                ("due_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("body", django_machinery.models.fields.WireTextField()),
                ("worker_id", models.BigIntegerField(null=True)),
                ("claims", models.IntegerField(db_default=0)),
                ("crashes", models.SmallIntegerField(db_default=0)),
                ("suspect", models.BooleanField(db_default=False)),
                ("relay_to", django_machinery.models.fields.WireCharField(db_default="", max_length=64)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "machinery_message",
                "indexes": [
                    models.Index(fields=["status", "queue", "rank", "due_at", "id"], name="machinery_message_claim"),
                    django_machinery.models.fields.SparseIndex(
                        fields=["status", "due_at"],
                        name="machinery_message_due",
                        where=models.Q(("status__in", [1, 4])),
                    ),
                    django_machinery.models.fields.SparseIndex(
                        fields=["status", "name"], name="machinery_message_parked", where=models.Q(("status", 3))
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("uuid",), name="machinery_message_uuid")],
            },
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("done", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(null=True)),
                ("note", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "machinery_progress",
                "indexes": [models.Index(fields=["updated_at"], name="machinery_progress_updated")],
                "constraints": [models.UniqueConstraint(fields=("uuid",), name="machinery_progress_uuid")],
            },
        ),
        migrations.CreateModel(
            name="QueueControl",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("server", django_machinery.models.fields.WireCharField(max_length=64)),
                ("queue", django_machinery.models.fields.WireCharField(max_length=255)),
                ("name", django_machinery.models.fields.WireCharField(blank=True, default="", max_length=255)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_by", django_machinery.models.fields.WireCharField(blank=True, default="", max_length=255)),
                ("resume_at", models.DateTimeField(blank=True, null=True)),
                ("rate", models.IntegerField(blank=True, null=True)),
                ("period", models.FloatField(blank=True, null=True)),
                ("tokens", models.FloatField(default=0)),
                ("refilled_at", models.DateTimeField(blank=True, null=True)),
                ("max_running", models.IntegerField(blank=True, null=True)),
            ],
            options={
                "db_table": "machinery_queue_control",
                "verbose_name": "queue",
                "verbose_name_plural": "queues",
                "permissions": [
                    ("pause_queuecontrol", "Can pause and resume queues"),
                    ("purge_queuecontrol", "Can purge queues"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "queue", "name"), name="machinery_control_of")
                ],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "server",
                    django_machinery.models.fields.WireCharField(
                        default="default", max_length=64, verbose_name="server"
                    ),
                ),
                ("name", django_machinery.models.fields.WireCharField(max_length=190, verbose_name="name")),
                (
                    "kind",
                    django_machinery.models.fields.WireCharField(
                        choices=[
                            ("task", "a task"),
                            ("group", "a group: tasks side by side"),
                            ("chain", "a chain: tasks one after the other"),
                            ("chord", "a chord: a group, and a last task with its results"),
                        ],
                        default="task",
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                ("spec", django_machinery.models.fields.WireCharField(max_length=255, verbose_name="spec")),
                (
                    "timezone",
                    django_machinery.models.fields.WireCharField(
                        blank=True, default="", max_length=64, verbose_name="timezone"
                    ),
                ),
                ("signatures", django_machinery.models.fields.WireTextField(verbose_name="signatures")),
                (
                    "origin",
                    django_machinery.models.fields.WireCharField(
                        choices=[("code", "declared by the project"), ("model", "made by hand")],
                        default="model",
                        editable=False,
                        max_length=16,
                        verbose_name="origin",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "starts_at",
                    django_machinery.models.fields.MomentField(blank=True, null=True, verbose_name="starts at"),
                ),
                ("ends_at", django_machinery.models.fields.MomentField(blank=True, null=True, verbose_name="ends at")),
                (
                    "missed",
                    django_machinery.models.fields.WireCharField(
                        choices=[
                            ("skip", "skip them"),
                            ("one", "run once for all of them"),
                            ("all", "run for each of them"),
                        ],
                        default="one",
                        max_length=16,
                        verbose_name="missed",
                    ),
                ),
                ("catch_up", models.PositiveIntegerField(blank=True, null=True, verbose_name="catch up")),
                (
                    "dst_gap",
                    django_machinery.models.fields.WireCharField(
                        choices=[("next", "run when the gap ends"), ("skip", "skip it")],
                        default="next",
                        max_length=16,
                        verbose_name="dst gap",
                    ),
                ),
                (
                    "dst_overlap",
                    django_machinery.models.fields.WireCharField(
                        choices=[("first", "run the first time"), ("both", "run both times")],
                        default="first",
                        max_length=16,
                        verbose_name="dst overlap",
                    ),
                ),
                (
                    "run_overlap",
                    django_machinery.models.fields.WireCharField(
                        choices=[("allow", "run beside it"), ("skip", "skip the new one")],
                        default="allow",
                        max_length=16,
                        verbose_name="run overlap",
                    ),
                ),
                (
                    "next_at",
                    django_machinery.models.fields.MomentField(
                        blank=True, editable=False, null=True, verbose_name="next at"
                    ),
                ),
                (
                    "planned_for",
                    django_machinery.models.fields.WireCharField(
                        blank=True, default="", editable=False, max_length=420
                    ),
                ),
                (
                    "last_at",
                    django_machinery.models.fields.MomentField(
                        blank=True, editable=False, null=True, verbose_name="last at"
                    ),
                ),
                (
                    "last_uuid",
                    django_machinery.models.fields.WireCharField(
                        blank=True, default="", editable=False, max_length=255
                    ),
                ),
                (
                    "seen_at",
                    django_machinery.models.fields.MomentField(
                        blank=True, editable=False, null=True, verbose_name="seen at"
                    ),
                ),
            ],
            options={
                "db_table": "machinery_schedule",
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "permissions": [
                    ("run_now_schedule", "Can run schedules now"),
                    ("switch_schedule", "Can enable and disable schedules"),
                ],
                "ordering": ("server", "name"),
                "indexes": [models.Index(fields=["enabled", "next_at"], name="machinery_schedule_next")],
                "constraints": [models.UniqueConstraint(fields=("server", "name"), name="machinery_schedule_name")],
            },
        ),
        migrations.CreateModel(
            name="Stat",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("minute", models.DateTimeField()),
                ("server", django_machinery.models.fields.WireCharField(max_length=64)),
                ("queue", django_machinery.models.fields.WireCharField(max_length=255)),
                ("name", django_machinery.models.fields.WireCharField(max_length=255)),
                ("outcome", django_machinery.models.fields.WireCharField(max_length=16)),
                ("worker_id", models.BigIntegerField(default=0)),
                ("span", models.IntegerField(default=0)),
                ("count", models.BigIntegerField(default=0)),
                ("wait_ms", models.BigIntegerField(default=0)),
                ("run_ms", models.BigIntegerField(default=0)),
                ("wait_hist", django_machinery.models.fields.WireTextField(default="")),
                ("run_hist", django_machinery.models.fields.WireTextField(default="")),
            ],
            options={
                "db_table": "machinery_stat",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("minute", "server", "queue", "name", "outcome", "worker_id"), name="machinery_stat_of"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskState",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("server", django_machinery.models.fields.WireCharField(max_length=64)),
                ("name", django_machinery.models.fields.WireCharField(max_length=255)),
                ("queue", django_machinery.models.fields.WireCharField(max_length=255)),
                ("state", django_machinery.models.fields.WireCharField(max_length=16)),
                ("reason", django_machinery.models.fields.WireCharField(db_default="", max_length=16)),
                ("generation", models.IntegerField(db_default=0)),
                ("attempt", models.IntegerField(db_default=1)),
                ("priority", models.SmallIntegerField(db_default=0)),
                ("signature", django_machinery.models.fields.WireTextField()),
                ("results", django_machinery.models.fields.WireTextField(null=True)),
                ("error", django_machinery.models.fields.WireTextField(db_default="")),
                ("traceback", django_machinery.models.fields.WireTextField(db_default="")),
                ("progress_done", models.BigIntegerField(null=True)),
                ("progress_total", models.BigIntegerField(null=True)),
                ("progress_note", django_machinery.models.fields.WireCharField(db_default="", max_length=255)),
                ("worker", django_machinery.models.fields.WireCharField(db_default="", max_length=255)),
                ("eta", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("received_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("group_uuid", django_machinery.models.fields.WireCharField(max_length=255, null=True)),
                ("group_index", models.IntegerField(null=True)),
                ("parent_uuid", django_machinery.models.fields.WireCharField(max_length=255, null=True)),
                ("schedule_id", models.BigIntegerField(null=True)),
                ("trace_id", django_machinery.models.fields.WireCharField(db_default="", max_length=64)),
            ],
            options={
                "db_table": "machinery_task_state",
                "verbose_name": "task state",
                "verbose_name_plural": "task states",
                "permissions": [
                    ("retry_taskstate", "Can run tasks again"),
                    ("cancel_taskstate", "Can cancel tasks"),
                    ("run_now_taskstate", "Can run waiting tasks now"),
                    ("view_raw_taskstate", "Can see the unmasked signatures and results of tasks"),
                ],
                "indexes": [
                    models.Index(fields=["state", "created_at"], name="machinery_task_state_created"),
                    models.Index(fields=["name", "created_at"], name="machinery_task_name_created"),
                    django_machinery.models.fields.SparseIndex(
                        fields=["group_uuid", "group_index"],
                        name="machinery_task_group",
                        where=models.Q(("group_uuid__isnull", False)),
                    ),
                    django_machinery.models.fields.SparseIndex(
                        fields=["parent_uuid"],
                        name="machinery_task_parent",
                        where=models.Q(("parent_uuid__isnull", False)),
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("uuid",), name="machinery_task_uuid")],
            },
        ),
        migrations.CreateModel(
            name="Tick",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("schedule_key", django_machinery.models.fields.WireCharField(max_length=255)),
                ("tick_at", django_machinery.models.fields.MomentField()),
                ("uuid", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                (
                    "status",
                    django_machinery.models.fields.WireCharField(
                        choices=[
                            ("sent", "sent"),
                            ("skipped", "skipped: the run before had not ended"),
                            ("elsewhere", "left to another program, which held the lock"),
                            (
                                "undecided",
                                "not sent: found too late to know whether another program had sent it",
                            ),
                            ("failed", "could not be sent"),
                        ],
                        max_length=16,
                    ),
                ),
                ("worker", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("sent_at", django_machinery.models.fields.MomentField(null=True)),
            ],
            options={
                "db_table": "machinery_tick",
                "indexes": [models.Index(fields=["status", "tick_at"], name="machinery_tick_status")],
                "constraints": [
                    models.UniqueConstraint(fields=("schedule_key", "tick_at"), name="machinery_tick_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="UniqueKey",
            fields=[
                (
                    "key",
                    django_machinery.models.fields.WireCharField(
                        db_column="key_", max_length=255, primary_key=True, serialize=False
                    ),
                ),
                ("uuid", django_machinery.models.fields.WireCharField(max_length=255)),
                ("until", models.DateTimeField()),
            ],
            options={
                "db_table": "machinery_unique_key",
                "indexes": [models.Index(fields=["until"], name="machinery_unique_until")],
            },
        ),
        migrations.CreateModel(
            name="WorkerProcess",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("token", django_machinery.models.fields.WireCharField(max_length=64)),
                ("server", django_machinery.models.fields.WireCharField(default="", max_length=64)),
                ("host", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("pid", models.IntegerField(default=0)),
                ("supervisor", django_machinery.models.fields.WireCharField(default="", max_length=64)),
                ("tag", django_machinery.models.fields.WireCharField(default="", max_length=255)),
                ("queues", django_machinery.models.fields.WireTextField(default="")),
                ("names", django_machinery.models.fields.WireTextField(default="")),
                ("concurrency", models.IntegerField(default=0)),
                ("busy", models.IntegerField(default=0)),
                ("done", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
                ("rss", models.BigIntegerField(default=0)),
                ("version", django_machinery.models.fields.WireCharField(default="", max_length=32)),
                ("started_at", models.DateTimeField()),
                ("beat_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
                ("stopping", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "machinery_worker",
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
                "indexes": [models.Index(fields=["lease_until"], name="machinery_worker_lease")],
                "constraints": [models.UniqueConstraint(fields=("token",), name="machinery_worker_token")],
            },
        ),
        migrations.RunPython(vacuum_messages_early, migrations.RunPython.noop),
    ]
