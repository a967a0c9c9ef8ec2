"""JSON text as Go's encoding/json writes it: no spaces, sorted keys, its escapes and its floats.

Numbers that were received keep their text, as in Go (UseNumber): they travel as `msgspec.Raw`.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import msgspec

from django_machinery.exceptions import EncodeError

encoder = msgspec.json.Encoder(order="deterministic")
"""Writes structs in the order of their fields and dicts in that of their keys; what it writes still lacks `escape`."""

_LESS, _GREATER, _AND = b"<>&"  # as numbers, which are found much faster than byte strings
_SURROGATES = re.compile("[\ud800-\udfff]")


def encode_value(value: Any) -> bytes:
    """The JSON of dicts, lists, strings, numbers, bool, None and Raw. EncodeError for a value that has none."""
    try:
        return escape(encoder.encode(writable(value)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EncodeError(f"cannot be written as JSON: {error}") from error


def encode_string(text: str) -> bytes:
    """The JSON of a string."""
    try:
        return escape(encoder.encode(text))
    except UnicodeEncodeError:
        return encode_value(text)


def escape(text: bytes) -> bytes:
    r"""Add the escapes that Go has and msgspec has not: < > & and U+2028, U+2029. They occur only inside strings."""
    if _LESS in text or _GREATER in text or _AND in text:
        text = text.replace(b"<", rb"\u003c").replace(b">", rb"\u003e").replace(b"&", rb"\u0026")
    if not text.isascii() and b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return text


def writable(value: Any) -> Any:
    """The same value with every float, and every string that is not Unicode, replaced by the text that Go writes."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return type(value)(**{name: writable(held) for name, held in fields})
    kind = type(value)
    if kind is float:
        return msgspec.Raw(float_text(value).encode())
    if kind is list or kind is tuple:
        return [writable(item) for item in value]
    if kind is dict:
        return {_text(key): writable(item) for key, item in value.items()}
    if kind is str and not value.isascii():
        return _unicode(value)
    return value


def float_text(number: float, *, bits: int = 64) -> str:
    """A float as Go prints it: the fewest digits that read back to the same float of that size, `1` for 1.0, `1e+21`.

    Exponents only below 1e-6 and from 1e21 on (encoding/json, floatEncoder). EncodeError for NaN and the infinities.
    """
    if not math.isfinite(number):
        raise EncodeError(f"{number} is no number that JSON can hold")
    digits = repr(number)
    if bits == 64 and "e" not in digits:
        return digits.removesuffix(".0")
    mantissa, _, exponent = (digits if bits == 64 else _float32_digits(number)).partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0").rstrip("0")
    if not digits:
        return sign + "0"
    leading_zeros = len(whole + fraction) - len((whole + fraction).lstrip("0"))
    return sign + _with_point(digits, len(whole) - leading_zeros + int(exponent or 0))


def float32(number: float) -> float:
    """The nearest number that a float32 can hold, which is infinite beyond the greatest."""
    nearest: float = struct.unpack("f", struct.pack("f", number))[0]
    return nearest


def _with_point(digits: str, point: int) -> str:
    """0.DIGITS x 10^point, as Go writes it."""
    if not -6 < point <= 21:
        exponent = point - 1
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    if point <= 0:
        return "0." + "0" * -point + digits
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{whole}.{fraction}" if fraction else whole


def _float32_digits(number: float) -> str:
    """The fewest digits that read back to the same float32: nine always do."""
    return next(text for text in (f"{number:.{n}e}" for n in range(9)) if float32(float(text)) == number)


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} is not a string")
    return key if key.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", key)


def _unicode(text: str) -> str | msgspec.Raw:
    r"""The text, or its JSON if it has lone surrogates: Go writes each byte that is not UTF-8 as \ufffd."""
    try:
        text.encode()
    except UnicodeEncodeError:
        parts = _SURROGATES.split(text)
        return msgspec.Raw(rb"\ufffd".join(encoder.encode(part)[1:-1] for part in parts).join((b'"', b'"')))
    return text
