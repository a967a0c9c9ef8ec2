"""`python -m tests.services` says which servers of the tests are missing here and exits 1 if any is."""

import sys

from tests.services import Redis
from tests.services.shared import SERVERS

needed = [*map(type, SERVERS.values()), Redis]
sys.exit("\n".join(reason for server in needed if (reason := server.missing())) or None)
