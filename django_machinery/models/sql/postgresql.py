"""PostgreSQL: one statement a step, with whole batches as its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DataError

from django_machinery.models.sql.base import CLAIMED_COLUMNS, FINAL_STATES, NEXT_DUE, Dialect, execute, fetch
from django_machinery.models.sql.rows import Claimed, Fence, NewMessage, NewTask, Step

# A batch travels as one text a column: the driver writes and the server reads that many times faster than an array.
_SEPARATOR, _NULL = "\x1e", "\x1d"

_NO_BOOLEAN = "22P02"  # invalid_text_representation

_MESSAGE_TYPES = {
    **dict.fromkeys(("uuid", "queue", "name"), "text"),
    **dict.fromkeys(("status", "rank_"), "smallint"),
    "due_at": "timestamptz",
    **dict.fromkeys(("body", "relay_to"), "text"),
}
_TASK_TYPES = {
    **dict.fromkeys(("uuid", "server", "name", "queue"), "text"),
    "priority": "smallint",
    "signature": "text",
    "eta": "timestamptz",
    "group_uuid": "text",
    "group_index": "int",
    "parent_uuid": "text",
}
_SEND_TYPES = {**_TASK_TYPES, "status": "smallint", "due_at": "timestamptz"}
_STEP_TYPES = {
    **dict.fromkeys(("uuid", "state", "results", "error", "reason", "traceback"), "text"),
    "attempt": "int",
    "worker": "text",
    **dict.fromkeys(("received_at", "started_at", "finished_at"), "timestamptz"),
}
_FENCE_TYPES = {"id": "bigint", "claims": "int"}

_PUT_MESSAGES = """
INSERT INTO machinery_message AS m (uuid, queue, name, status, rank_, due_at, body, relay_to, created_at)
SELECT uuid, queue, name, status, rank_, COALESCE(due_at, statement_timestamp()), body, relay_to, statement_timestamp()
FROM {} AS new
ON CONFLICT (uuid) DO UPDATE SET
    queue = excluded.queue, name = excluded.name, status = excluded.status, rank_ = excluded.rank_,
    due_at = excluded.due_at, expires_at = NULL, body = excluded.body, claims = m.claims + 1, crashes = 0,
    suspect = false, relay_to = excluded.relay_to, created_at = excluded.created_at
"""
_PUT_TASKS = """
INSERT INTO machinery_task_state AS t (
    uuid, server, name, queue, state, priority, signature, eta, created_at, group_uuid, group_index, parent_uuid)
SELECT uuid, server, name, queue, 'PENDING', priority, signature, eta, statement_timestamp(),
    group_uuid, group_index, parent_uuid
FROM {} AS new
"""
_IF_ABSENT = "ON CONFLICT (uuid) DO NOTHING"
_ANEW = f"""
ON CONFLICT (uuid) DO UPDATE SET
    server = excluded.server, name = excluded.name, queue = excluded.queue, state = 'PENDING', reason = '',
    generation = t.generation + (t.state IN {FINAL_STATES})::int, attempt = 1, priority = excluded.priority,
    signature = excluded.signature, results = NULL, error = '', traceback = '', progress_done = NULL,
    progress_total = NULL, progress_note = '', worker = '', eta = excluded.eta, created_at = excluded.created_at,
    received_at = NULL, started_at = NULL, finished_at = NULL, group_uuid = excluded.group_uuid,
    group_index = excluded.group_index, parent_uuid = excluded.parent_uuid
"""
_SENT = """
(SELECT uuid, queue, name, status, -priority AS rank_, due_at, signature AS body, '' AS relay_to
 FROM new WHERE status IS NOT NULL)
"""
# What a task and its message have in common travels once.
_SEND = f"""
WITH new AS MATERIALIZED {{}}, tasks AS ({_PUT_TASKS.format("new")} WHERE server IS NOT NULL {{}})
{_PUT_MESSAGES.format(_SENT)}
"""
# Messages are looked up by a list of ids and not by a join: with statistics from when the queue was empty, the planner
# would read all that waits for each batch. Nobody waits until the disk has a claim: one that a crash of the server
# undoes is made again, under another process's number or by the same process, and of its runs one is settled.
_CLAIM = f"""
WITH chosen AS MATERIALIZED (
    SELECT id FROM machinery_message WHERE {{}} ORDER BY rank_, due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE machinery_message m SET status = 2, worker_id = %s, claims = m.claims + 1
    WHERE m.id = ANY (ARRAY(SELECT id FROM chosen)) RETURNING m.*
)
SELECT {", ".join(CLAIMED_COLUMNS)}, EXTRACT(epoch FROM statement_timestamp() - due_at)::float8
FROM claimed, (SELECT set_config('synchronous_commit', 'off', true)) AS without_sync ORDER BY rank_, due_at, id
"""
_HELD = """
id = ANY (ARRAY(SELECT id FROM held)) AND ((id, claims) IN (SELECT id, claims FROM held)) IS TRUE AND worker_id = %s
"""
_SETTLE = f"WITH held AS MATERIALIZED {{}} DELETE FROM machinery_message WHERE {_HELD}"
_GIVE_BACK = f"""
WITH held AS MATERIALIZED {{}} UPDATE machinery_message SET status = {{}}, worker_id = NULL, claims = claims - 1
WHERE {_HELD}
"""
_STEP = f"""
UPDATE machinery_task_state t SET
    state = s.state, results = s.results, error = s.error, reason = s.reason, traceback = s.traceback,
    attempt = COALESCE(s.attempt, t.attempt), worker = s.worker, received_at = COALESCE(s.received_at, t.received_at),
    started_at = COALESCE(s.started_at, t.started_at),
    finished_at = CASE WHEN s.state IN {FINAL_STATES} THEN COALESCE(s.finished_at, statement_timestamp()) END
FROM {{}} AS s WHERE t.uuid = s.uuid AND t.state NOT IN {FINAL_STATES}
"""
# In place of a rollback, which would take a transaction and its round trips: text that is no boolean.
_CONCLUDE = """
WITH settled AS ({settle} RETURNING 1), stepped AS ({step} RETURNING 1)
SELECT CASE WHEN ended.messages = %s AND ended.tasks = %s THEN true
    ELSE (ended.messages || ' messages and ' || ended.tasks || ' tasks of a batch were still ours')::boolean END
FROM (SELECT (SELECT count(*) FROM settled) AS messages, (SELECT count(*) FROM stepped) AS tasks) AS ended
"""
_PROMOTE = """
UPDATE machinery_message SET status = 0 WHERE id = ANY (ARRAY(
    SELECT id FROM machinery_message WHERE status IN (1, 4) AND status = 1 AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)) RETURNING queue
"""


class PostgreSQL(Dialect):
    """PostgreSQL 13 and later, with psycopg."""

    skip_locked = "FOR UPDATE SKIP LOCKED"

    def clock(self, offset: float = 0.0) -> str:
        return f"(statement_timestamp() + interval '{offset:f} seconds')"

    def put_messages(self, rows: Sequence[NewMessage]) -> None:
        relation, parameters = _relation(rows, _MESSAGE_TYPES)
        execute(self.connection, _PUT_MESSAGES.format(relation), parameters)

    def put_tasks(self, rows: Sequence[NewTask]) -> None:
        relation, parameters = _relation(rows, _TASK_TYPES)
        execute(self.connection, _PUT_TASKS.format(relation) + _ANEW, parameters)

    def put_absent_tasks(self, rows: Sequence[NewTask]) -> set[str]:
        relation, parameters = _relation(rows, _TASK_TYPES)
        statement = _PUT_TASKS.format(relation) + _IF_ABSENT + " RETURNING uuid"
        return {uuid for (uuid,) in fetch(self.connection, statement, parameters)}

    def send(self, tasks: Sequence[NewTask], absent: bool, messages: Sequence[NewMessage]) -> None:
        relation, parameters = _relation(_joined(tasks, messages), _SEND_TYPES)
        statement = _SEND.format(relation, _IF_ABSENT if absent else _ANEW)
        execute(self.connection, statement, parameters)

    def claim(self, worker_id: int, queue: str, status: int, limit: int) -> list[Claimed]:
        statement = _CLAIM.format(f"status = {status:d} AND queue = %s")
        return [Claimed(*row) for row in fetch(self.connection, statement, [queue, limit, worker_id])]

    def claim_parked(self, worker_id: int, queues: Sequence[str], names: Sequence[str], limit: int) -> list[Claimed]:
        statement = _CLAIM.format("status = 3 AND name = ANY (%s) AND queue = ANY (%s)")
        parameters = [list(names), list(queues), limit, worker_id]
        return [Claimed(*row) for row in fetch(self.connection, statement, parameters)]

    def settle(self, worker_id: int, fences: Sequence[Fence]) -> int:
        relation, parameters = _relation(fences, _FENCE_TYPES)
        return execute(self.connection, _SETTLE.format(relation), [*parameters, worker_id])

    def give_back(self, worker_id: int, fences: Sequence[Fence], parked: bool) -> int:
        relation, parameters = _relation(fences, _FENCE_TYPES)
        status = "3" if parked else "CASE WHEN suspect THEN 5 ELSE 0 END"
        return execute(self.connection, _GIVE_BACK.format(relation, status), [*parameters, worker_id])

    def step(self, rows: Sequence[Step]) -> int:
        relation, parameters = _relation(rows, _STEP_TYPES)
        return execute(self.connection, _STEP.format(relation), parameters)

    def conclude(self, worker_id: int, fences: Sequence[Fence], steps: Sequence[Step]) -> bool:
        held, held_parameters = _relation(fences, _FENCE_TYPES)
        stepping, step_parameters = _relation(steps, _STEP_TYPES)
        statement = _CONCLUDE.format(settle=_SETTLE.format(held), step=_STEP.format(stepping))
        parameters = [*held_parameters, worker_id, *step_parameters, len(fences), len(steps)]
        try:
            fetch(self.connection, statement, parameters)
        except DataError as error:
            if getattr(error.__cause__, "sqlstate", "") != _NO_BOOLEAN:
                raise
            return False
        return True

    def next_due(self) -> float | None:
        until = "EXTRACT(epoch FROM due_at - statement_timestamp())::float8"
        return next((seconds for (seconds,) in fetch(self.connection, NEXT_DUE.format(until), [])), None)

    def promote(self, limit: int) -> list[str]:
        return [queue for (queue,) in fetch(self.connection, _PROMOTE, [limit])]


def _joined(tasks: Sequence[NewTask], messages: Sequence[NewMessage]) -> list[tuple[Any, ...]]:
    """The rows of `_SEND_TYPES`: one without a server has only a message, one without a status only a task."""
    left = {message.uuid: message for message in messages}
    rows: list[tuple[Any, ...]] = []
    for task in tasks:
        message = left.get(task.uuid)
        if message is not None and message.body == task.signature:
            del left[task.uuid]
            rows.append((*task, message.status, message.due_at))
        else:
            rows.append((*task, None, None))
    for uuid, queue, name, status, rank, due_at, body, _ in left.values():
        rows.append((uuid, None, name, queue, -rank, body, None, None, None, None, status, due_at))
    return rows


def _relation(rows: Sequence[tuple[Any, ...]], types: Mapping[str, str]) -> tuple[str, list[Any]]:
    """`rows` as an item of a FROM clause, and its parameters. A column that has one value in all rows travels once."""
    constants, columns, first, rest = [], [], [], []
    for (name, kind), values in zip(types.items(), zip(*rows, strict=True), strict=True):
        if values.count(values[0]) == len(values):
            constants.append(f"%s::{kind} AS {name}")
            first.append(values[0])
        else:
            expression, parameter = _column(values, kind)
            columns.append((name, expression))
            rest.append(parameter)
    if not columns:
        return f"(SELECT {', '.join(constants)})", first
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(array for _, array in columns)
    return f"(SELECT {', '.join([*constants, 'u.*'])} FROM unnest({arrays}) AS u ({names}))", [*first, *rest]


def _column(values: Sequence[Any], kind: str) -> tuple[str, Any]:
    """An array as an expression and its parameter.

    In a subquery, which hides its length: told of many rows, the planner would rather read a whole table than look up
    each in an index.
    """
    texts = [_NULL if value is None else value if type(value) is str else str(value) for value in values]
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) == len(texts) - 1 and joined.count(_NULL) == values.count(None):
        return f"(SELECT string_to_array(%s, '{_SEPARATOR}', '{_NULL}')::{kind}[])", joined
    return f"(SELECT %s::{kind}[])", list(values)
