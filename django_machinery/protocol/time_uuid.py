"""UUIDs that sort by the time they were made at, so that an index takes those of a batch in one place."""

from os import urandom
from time import time_ns

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM = (1 << 62) - 1


def time_uuid() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds since 1970, 12 bits of the time within the millisecond
    (section 6.2, method 3), and 62 random bits."""
    milliseconds, nanoseconds = divmod(time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    random = int.from_bytes(urandom(8)) & _RANDOM
    digits = f"{milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | random:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
