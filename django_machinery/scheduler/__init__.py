"""The scheduler: what is due, claims the tick, sends. Every worker runs one; a tick's row decides who sends."""

from django_machinery.scheduler.manual import run_now

__all__ = ["run_now"]
