"""PostgreSQL on a socket of its own."""

import signal
from typing import Any, ClassVar

from tests.services.base import DatabaseServer


class Postgres(DatabaseServer):
    name: ClassVar = "PostgreSQL"
    install: ClassVar = "apt-get install postgresql; pip install 'psycopg[binary]'"
    programs: ClassVar = ("initdb", "postgres")
    modules: ClassVar = ("psycopg",)
    account: ClassVar = "postgres"
    search: ClassVar = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/pgsql-*/bin")
    stop_signal: ClassVar = signal.SIGINT  # "fast"; on SIGTERM it would wait for its clients to go
    # "immediate": every server process quits and the next start recovers from the log. After SIGKILL its orphans may
    # hold the shared memory for a moment, and the next start would fail.
    crash_signal: ClassVar = signal.SIGQUIT

    def django(self) -> dict[str, Any]:
        return {"ENGINE": "django.db.backends.postgresql", "HOST": str(self.directory), "USER": "postgres"}

    def _create_data(self) -> None:
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run(str(self.program("initdb")), f"--pgdata={self.data}", *options)

    def _command(self) -> list[str]:
        settings = ["listen_addresses=", f"unix_socket_directories={self.directory}", "max_connections=200"]
        if not self.durable:
            settings += ["fsync=off", "full_page_writes=off"]
        command = [str(self.program("postgres")), "-D", str(self.data)]
        return command + [part for setting in settings for part in ("-c", setting)]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True
