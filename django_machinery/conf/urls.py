"""URLs of stores: taking them apart, and showing them without their secrets."""

from __future__ import annotations

import re

from django_machinery.exceptions import ConfigurationError

HIDDEN = "***"

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)(?:://(?P<rest>\S*))?", re.IGNORECASE)
# Whatever comes before "://": a misspelt scheme must not show what a right one hides.
_AT_THE_START = re.compile(r"\A(?P<start>[^\s:]*://)(?P<credentials>(?s:.)*)@")
_ANYWHERE = re.compile(r"(?P<start>(?:socket)?://)(?P<credentials>\S*)@", re.IGNORECASE)
_SECRET_NAME = (
    r"\w*(?:password|passwd|passphrase|pwd|secret|token|credential|signature)\w*"
    r"|(?:\w+_)?(?:pass|auth|key|sig|apikey)(?:_\w+)?"
)
_SECRET = re.compile(rf"(?P<name>\b(?:{_SECRET_NAME})\s*=\s*)(?:'(?:\\.|[^'\\])*'|[^&;\s]+)", re.IGNORECASE)


def parse_url(url: str) -> tuple[str, str]:
    """The scheme, in lower case, and what follows "://". A bare word is a scheme: "eager", "null" (Go: factories.go).

    Raises ConfigurationError for anything else.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{redact_refused(url)!r} is not a URL: scheme://...")
    return match["scheme"].lower(), match["rest"] or ""


def redact(text: str) -> str:
    """A URL, a libpq "key=value" string or a message that holds one, fit to be shown: its secrets are hidden.

    A user without a password is hidden too: Go's Redis URLs carry the password there. So is all in front of the path of
    a socket, where a password stands alone. Credentials are taken to reach to the last "@", so that a password that
    should have been percent-encoded does not show either.
    """
    text = _AT_THE_START.sub(_hide_credentials, text)
    return _SECRET.sub(rf"\g<name>{HIDDEN}", _ANYWHERE.sub(_hide_credentials, text))


def redact_refused(text: str) -> str:
    """`redact`, for what was meant as a URL and is none: whatever an "@" ends counts as credentials."""
    _, separator, host = text.rpartition("@")
    return HIDDEN + redact(separator + host) if separator and "://" not in text else redact(text)


def _hide_credentials(match: re.Match[str]) -> str:
    user, separator, _ = match["credentials"].partition(":")
    leads_to_socket = match["start"].lower().endswith("socket://") or match.string.startswith("/", match.end())
    return f"{match['start']}{user}:{HIDDEN}@" if separator and not leads_to_socket else f"{match['start']}{HIDDEN}@"
