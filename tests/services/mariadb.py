"""MariaDB on a socket of its own."""

import socket
from typing import Any, ClassVar

from tests.services.base import DatabaseServer


class MariaDB(DatabaseServer):
    name: ClassVar = "MariaDB"
    install: ClassVar = "apt-get install mariadb-server; pip install PyMySQL"
    programs: ClassVar = ("mariadb-install-db", "mariadbd")
    modules: ClassVar = ("pymysql",)
    account: ClassVar = "mysql"

    @property
    def socket_path(self) -> str:
        return str(self.directory / "socket")

    def django(self) -> dict[str, Any]:
        """Django needs `pymysql.install_as_MySQLdb()` before it."""
        return {
            "ENGINE": "django.db.backends.mysql",
            "HOST": self.socket_path,
            "USER": "root",
            "OPTIONS": {"charset": "utf8mb4"},
        }

    def _create_data(self) -> None:
        options = ("--auth-root-authentication-method=normal", "--skip-test-db")
        self._run(str(self.program("mariadb-install-db")), "--no-defaults", f"--datadir={self.data}", *options)

    def _command(self) -> list[str]:
        options = [f"--datadir={self.data}", f"--socket={self.socket_path}", f"--pid-file={self.directory / 'pid'}"]
        options += ["--skip-networking", "--skip-log-bin", "--character-set-server=utf8mb4"]
        if not self.durable:
            options += ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=2"]
        return [str(self.program("mariadbd")), "--no-defaults", *options]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.socket_path)
                return bool(client.recv(1))
            except OSError:
                return False
