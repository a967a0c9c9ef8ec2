"""`python -m tests.benchmarks.admin [--rows N]`: how long the admin pages take on PostgreSQL with N task states.

Each page is asked for several times by a logged-in client in this process; the median, the longest and the number of
queries are printed. The promise is at most 300 ms and 12 queries with a million rows.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.services import Postgres

LIMIT_MS, LIMIT_QUERIES = 300, 12
TIMES = 7
PAGES = {
    "dashboard": "/admin/machinery/",
    "dashboard, 7 days": "/admin/machinery/?window=7d",
    "dashboard, fragment": "/admin/machinery/taskstate/dashboard/",
    "list": "/admin/machinery/taskstate/",
    "list, older": "/admin/machinery/taskstate/?id__lt=500000",
    "filter by state": "/admin/machinery/taskstate/?state=FAILURE",
    "filter by a rare state": "/admin/machinery/taskstate/?state=RETRY",
    "filter by task": "/admin/machinery/taskstate/?name=shop.tasks.charge_card",
    "filter by time": "/admin/machinery/taskstate/?sent=24h",
    "filter by state and time": "/admin/machinery/taskstate/?state=FAILURE&sent=1h",
    "filter by failure": "/admin/machinery/taskstate/?failed=7d",
    "filter by exception": "/admin/machinery/taskstate/?failed=7d&exception=django.db.utils.OperationalError",
    "filter by a rare exception": "/admin/machinery/taskstate/?failed=7d&exception=KeyError",
    "filter by queue": "/admin/machinery/taskstate/?queue=reports",
    "filter by worker": "/admin/machinery/taskstate/?worker=web3.example.com:4002",
    "search by UUID": "/admin/machinery/taskstate/?q=task_0000000000000000000000000007a120",
    "search by argument": "/admin/machinery/taskstate/?q=user950123@example.com",
    "search by argument, many": "/admin/machinery/taskstate/?q=example.com",
    "search by argument, none": "/admin/machinery/taskstate/?q=nobody@nowhere.example",
    "search by any argument": "/admin/machinery/taskstate/?q=args:3",
    "search by args.key": "/admin/machinery/taskstate/?q=args.1:user950123",
    "search by error": "/admin/machinery/taskstate/?q=error:deadlock",
    "one task": "/admin/machinery/taskstate/{failed}/change/",
}
_FILL = """
INSERT INTO machinery_task_state (uuid, server, name, queue, state, reason, signature, results, error, traceback,
    worker, created_at, received_at, started_at, finished_at, generation, attempt, priority, progress_note, trace_id)
SELECT 'task_' || lpad(to_hex(i), 32, '0'), 'default', k.name, k.queue, s.state,
    CASE s.state WHEN 'FAILURE' THEN 'error' ELSE '' END,
    '{"UUID":"task_' || lpad(to_hex(i), 32, '0') || '","Name":"' || k.name || '","RoutingKey":"' || k.queue ||
    '","ETA":null,"GroupUUID":"","GroupTaskCount":0,"Args":[{"Name":"","Type":"int64","Value":' || i ||
    '},{"Name":"","Type":"string","Value":"user' || i || '@example.com"}],"Headers":{},"Priority":0,"Immutable":false,'
    '"RetryCount":0,"RetryTimeout":0,"OnSuccess":null,"OnError":null,"ChordCallback":null,"BrokerMessageGroupId":"",'
    '"SQSReceiptHandle":"","StopTaskDeletionOnError":false,"IgnoreWhenTaskNotRegistered":false}',
    CASE s.state WHEN 'SUCCESS' THEN '[{"Type":"int64","Value":42}]' END,
    CASE s.state WHEN 'FAILURE' THEN 'OperationalError: deadlock detected' ELSE '' END,
    CASE s.state WHEN 'FAILURE' THEN repeat('  File "shop/tasks.py", line 41' || chr(10), 20) ELSE '' END,
    'web' || i %% 5 || '.example.com:' || 4000 + i %% 4, t.at, t.at, t.at + interval '80 ms',
    CASE WHEN s.state IN ('SUCCESS', 'FAILURE') THEN t.at + interval '900 ms' END, 0, 1, 0, '', ''
FROM generate_series(1, %(rows)s) AS i,
    LATERAL (SELECT now() - interval '7 days' * (%(rows)s - i) / %(rows)s AS at) AS t,
    LATERAL (SELECT (ARRAY['shop.tasks.charge_card', 'shop.tasks.send_receipt', 'media.tasks.make_thumbnail',
        'reports.tasks.nightly'])[1 + i %% 4] AS name,
        (ARRAY['machinery_tasks', 'mail', 'media', 'reports'])[1 + i %% 4] AS queue) AS k,
    LATERAL (SELECT CASE WHEN i %% 100 = 1 THEN 'FAILURE' WHEN i %% 5000 = 2 THEN 'RETRY' WHEN i > %(rows)s - 500
        THEN 'PENDING' ELSE 'SUCCESS' END AS state) AS s
"""
_FILL_ATTEMPTS = """
INSERT INTO machinery_attempt (uuid, name, generation, number, worker, started_at, ended_at, outcome, exception, error,
    traceback)
SELECT uuid, name, 0, 1, worker, started_at, finished_at, 'error', 'django.db.utils.OperationalError', error, traceback
FROM machinery_task_state WHERE state = 'FAILURE'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="machinery-") as directory:
        Path(directory).chmod(0o711)
        with Postgres(Path(directory) / "postgres").running() as postgres:
            _set_up(postgres)
            _fill(rows)
            _measure(rows)


def _set_up(postgres: Postgres) -> None:
    import django
    from django.core.management import call_command

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings_admin"
    target = {"NAME": "postgres", **postgres.django(), "OPTIONS": {}}
    os.environ["MACHINERY_ADMIN_DATABASE"] = json.dumps(target)
    django.setup()
    call_command("migrate", verbosity=0)


def _fill(rows: int) -> None:
    from django.db import connection

    from tests.admin import samples

    samples.fill(0)
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"rows": rows})
        cursor.execute(_FILL_ATTEMPTS)
        cursor.execute("VACUUM ANALYZE")


def _measure(rows: int) -> None:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import setup_test_environment

    from django_machinery.models import TaskState

    setup_test_environment()
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    failed = TaskState.objects.filter(state="FAILURE").latest("id").pk
    print(f"{rows:,} task states on PostgreSQL\n\n{'page':28}{'median ms':>10}{'longest ms':>11}{'queries':>9}")  # noqa: T201
    kept = [_page(name, partial(client.get, url.format(failed=failed))) for name, url in PAGES.items()]
    sys.exit(0 if all(kept) else f"more than {LIMIT_MS} ms or {LIMIT_QUERIES} queries")


def _page(name: str, get: Callable[[], Any]) -> bool:
    """Measure one page; whether it keeps the promise."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    get()
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = get()
        seconds.append(time.perf_counter() - began)
        assert answer.status_code == 200, name
    with CaptureQueriesContext(connection) as queries:
        get()
    median, longest = statistics.median(seconds) * 1000, max(seconds) * 1000
    print(f"{name:28}{median:10.0f}{longest:11.0f}{len(queries):9}")  # noqa: T201
    if os.environ.get("MACHINERY_SHOW_QUERIES"):
        slow = sorted(queries.captured_queries, key=lambda query: -float(query["time"]))[:3]
        print("".join(f"    {query['time']} {query['sql'][:300]}\n" for query in slow))  # noqa: T201
    return median <= LIMIT_MS and len(queries) <= LIMIT_QUERIES


if __name__ == "__main__":
    main()
