"""`python -m tests.services` says which servers of the tests are missing here and exits 1 if any is."""

import sys

from tests.services.shared import SERVERS

sys.exit("\n".join(reason for server in SERVERS.values() if (reason := server.missing())) or None)
