"""Handles to what was sent: a task, a chain, a group, a chord."""

from django_machinery.results.chain import ChainResult
from django_machinery.results.chord import ChordResult
from django_machinery.results.group import GroupResult
from django_machinery.results.lookup import Lookup
from django_machinery.results.task import AsyncResult

__all__ = ["AsyncResult", "ChainResult", "ChordResult", "GroupResult", "Lookup"]
