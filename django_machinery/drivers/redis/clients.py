"""From a URL to the client of what is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_machinery.drivers.redis.address import Topology, parse_address
from django_machinery.drivers.redis.client import Client, SingleClient
from django_machinery.drivers.redis.cluster import ClusterClient

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.drivers.redis.errors import Errors


def open_client(url: str, config: ServerConfig, errors: Errors) -> Client:
    """A client that connects when it is first used. Raises ConfigurationError."""
    address = parse_address(url, config)
    kind = ClusterClient if address.topology is Topology.CLUSTER else SingleClient
    return kind(address, config, errors)
