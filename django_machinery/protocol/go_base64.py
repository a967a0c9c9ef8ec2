"""Standard base64 as Go's encoding/base64 reads it: padded, line breaks anywhere, its error texts."""

from __future__ import annotations

import binascii
import re

from django_machinery.exceptions import ArgumentError

_LINE_BREAKS = b"\r\n"
_WHOLE = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NO_DIGIT = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_NO_LINE_BREAK = re.compile(rb"[^\r\n]|\Z")


def decode_base64(text: str) -> bytes:
    """The bytes. ArgumentError, with Go's text, if it is no base64."""
    data = text.encode()
    joined = data.translate(None, _LINE_BREAKS)
    if not _WHOLE.fullmatch(joined):
        raise ArgumentError(f"illegal base64 data at input byte {_fault(data)}")
    return binascii.a2b_base64(joined)


def _fault(data: bytes) -> int:
    """Where Go says that the fault is (encoding/base64, decodeQuantum)."""
    match = _NO_DIGIT.search(data)
    end = match.start() if match else len(data)
    in_quantum = len(data[:end].translate(None, _LINE_BREAKS)) % 4
    if match is None:
        return end - in_quantum
    if match[0] != b"=" or in_quantum < 2:
        return end
    after = _skip_line_breaks(data, end + 1)
    if in_quantum == 3 or after == len(data):
        return after
    return _skip_line_breaks(data, after + 1) if data[after] == ord("=") else after - 1


def _skip_line_breaks(data: bytes, start: int) -> int:
    match = _NO_LINE_BREAK.search(data, start)
    return match.start() if match else len(data)
