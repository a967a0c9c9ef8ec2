"""Django signals for every transition of a task and of a worker. Most of the log comes of them.

All are sent by `send_robust` with the `Server` class as sender and `server`, the settings alias, as argument; a
receiver that raises is logged and stops nothing. Senders look first whether anybody listens: an unused signal costs
nothing.

| signal | further arguments |
| --- | --- |
| task_sent | signature |
| task_received | signature, worker |
| task_started | signature, worker |
| task_succeeded | signature, worker, results, seconds |
| task_failed | signature, worker, error, exception, traceback, reason, seconds |
| task_retried | signature, worker, error, exception, eta |
| task_parked | signature, worker: the task is not registered there |
| message_rejected | queue, reason, detail: it became a dead letter |
| lease_lost | token |
| tick_sent | schedule, tick_at, uuid: a periodic task was sent; `uuid` as `Schedule.last_uuid` |
| tick_skipped | schedule, tick_at, reason: "skipped" (the run before had not ended) or "elsewhere" (by a Go program) |
| schedule_failed | schedule, error: it cannot be read, or what it sends is refused |
| worker_started, worker_stopping, worker_stopped | worker |
| store_unavailable | store, error, retry_in (seconds) |
| store_recovered | store |

`worker` is the worker's name, `host:pid`, and its tag where it has one.
"""

from django.dispatch import Signal

task_sent = Signal()
task_received = Signal()
task_started = Signal()
task_succeeded = Signal()
task_failed = Signal()
task_retried = Signal()
task_parked = Signal()
message_rejected = Signal()
lease_lost = Signal()
tick_sent = Signal()
tick_skipped = Signal()
schedule_failed = Signal()
worker_started = Signal()
worker_stopping = Signal()
worker_stopped = Signal()
store_unavailable = Signal()
store_recovered = Signal()
