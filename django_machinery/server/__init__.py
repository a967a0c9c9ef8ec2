"""The server: broker, result backend, lock and registry under one settings alias (Go: server.go)."""

from django_machinery.server.sender import Sender
from django_machinery.server.server import Server

__all__ = ["Sender", "Server"]
