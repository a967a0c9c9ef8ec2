"""Certificates for servers that speak TLS: an authority of the test's own, and what it has signed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = "2"


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; `server` is valid for localhost and 127.0.0.1, `client` shows who a client is."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "authority.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.directory / "server.crt", self.directory / "server.key"

    @property
    def client(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.directory / "client.crt", self.directory / "client.key"

    def create(self) -> None:
        """Make them all, readable by every account of this machine. Raises CalledProcessError."""
        self.directory.mkdir()
        key = self._new_key(self.directory / "authority.key")
        name = ("-subj", "/CN=authority of the tests", "-addext", "keyUsage=critical,keyCertSign")
        self._openssl("req", "-x509", *key, *name, "-days", DAYS, "-out", self.authority)
        self._sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._sign("client", "extendedKeyUsage=clientAuth")

    def _sign(self, name: str, extension: str) -> None:
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        key = self.directory / f"{name}.key"
        extensions.write_text(f"authorityKeyIdentifier=keyid\n{extension}\n")
        self._openssl("req", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        authority = ("-CA", self.authority, "-CAkey", self.directory / "authority.key", "-CAcreateserial")
        out = ("-extfile", extensions, "-days", DAYS, "-out", self.directory / f"{name}.crt")
        self._openssl("x509", "-req", "-in", request, *authority, *out)
        key.chmod(0o644)

    @staticmethod
    def _new_key(path: Path) -> tuple[str | Path, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", path)

    @staticmethod
    def _openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
