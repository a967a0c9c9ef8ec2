"""URLs of stores: taking them apart, and showing them without their secrets."""

from __future__ import annotations

import re

from django_machinery.exceptions import ConfigurationError

HIDDEN = "***"

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)(?:://(?P<rest>\S*))?", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?P<start>^[^:/?#]*://)(?P<credentials>.*)@", re.DOTALL)
_SECRET = re.compile(
    r"(?P<name>\w*(?:pass|pwd|secret|token|key|credential|auth|sig)\w*\s*=\s*)(?:'(?:\\.|[^'\\])*'|[^&;\s]+)",
    re.IGNORECASE,
)


def parse_url(url: str) -> tuple[str, str]:
    """The scheme, in lower case, and what follows "://". A bare word is a scheme: "eager", "null" (Go: factories.go).

    Raises ConfigurationError for anything else.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{redact(url)!r} is not a URL: scheme://...")
    return match["scheme"].lower(), match["rest"] or ""


def redact(url: str) -> str:
    """A URL, or a libpq "key=value" string, fit to be shown: passwords and secret parameters are hidden.

    A user without a password is hidden too: Go's Redis URLs carry the password there. Credentials are taken to reach to
    the last "@", so that a password that should have been percent-encoded does not show either.
    """
    return _SECRET.sub(rf"\g<name>{HIDDEN}", _CREDENTIALS.sub(_hide_credentials, url))


def _hide_credentials(match: re.Match[str]) -> str:
    user, separator, _ = match["credentials"].partition(":")
    return f"{match['start']}{user}:{HIDDEN}@" if separator else f"{match['start']}{HIDDEN}@"
