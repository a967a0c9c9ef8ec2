"""`python -m tests.services` says which servers of the tests are missing here and exits 1 if any is."""

import sys

from tests.services import Redis, Service
from tests.services.shared import SERVERS

needed: list[type[Service]] = [*map(type, SERVERS.values()), Redis]
sys.exit("\n".join(reason for server in needed if (reason := server.missing())) or None)
