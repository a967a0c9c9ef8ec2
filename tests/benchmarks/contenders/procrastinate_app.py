"""What procrastinate's workers run: an `async def` task, the kind of which each process runs several at once."""

import procrastinate  # type: ignore[import-not-found,import-untyped,unused-ignore]

from tests.benchmarks.target import Target

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=Target.of_environment().dsn))


@app.task(name="add", queue="measured")  # type: ignore[untyped-decorator,unused-ignore]
async def add(x: int, y: int) -> int:
    return x + y
