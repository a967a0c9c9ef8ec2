"""The tasks that are measured."""

import time

from django_machinery import task


@task(name="add", queue="measured")
def add(x: int, y: int) -> int:
    return x + y


@task(name="nap", queue="measured")
def nap(seconds: float) -> None:
    time.sleep(seconds)
