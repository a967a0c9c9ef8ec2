"""Texts from anywhere are read as the original reads them, or refused."""

from typing import Any

import pytest

from django_machinery.exceptions import DecodeError
from django_machinery.protocol import codec
from tests.protocol.golden_data import case, rows

CODECS: dict[str, Any] = {
    "signature": (codec.decode_signature, codec.encode_signature),
    "state": (codec.decode_state, codec.encode_state),
    "group": (codec.decode_group, codec.encode_group),
}

BEYOND_OUR_BOUNDS = {
    "deep: 9990 arrays in a value",
    "deep: 9997 arrays in a value",
    "deep: 1000 nested on success",
    "deep: 3332 nested on success",
    "deep: 3333 nested on success",
    "deep: 3334 nested on success",
    "deep: 5000 nested on success",
}
"""Go reads up to 10,000 levels; we read 200."""


def text_of(row) -> bytes:
    if "input" in row:
        return row["input"].encode()
    if "input_hex" in row:
        return bytes.fromhex(row["input_hex"])
    return b"".join(part.encode() * times for part, times in row["input_parts"])


@pytest.mark.parametrize(
    "row", [row for row in rows("decode") if row["ok"] and row["case"] not in BEYOND_OUR_BOUNDS], ids=case
)
def test_what_go_reads_is_read_to_the_same(row):
    decode, encode = CODECS[row["target"]]
    again = encode(decode(text_of(row)))
    if row["json"] is not None:
        assert again.decode() == row["json"]
    assert encode(decode(again)) == again


@pytest.mark.parametrize("row", [row for row in rows("decode") if not row["ok"]], ids=case)
def test_what_go_refuses_is_refused(row):
    decode, _ = CODECS[row["target"]]
    with pytest.raises(DecodeError):
        decode(text_of(row))


@pytest.mark.parametrize("row", [row for row in rows("decode") if row["case"] in BEYOND_OUR_BOUNDS], ids=case)
def test_what_go_reads_beyond_our_bounds_is_refused(row):
    decode, _ = CODECS[row["target"]]
    with pytest.raises(DecodeError, match="levels"):
        decode(text_of(row))


def test_every_named_row_is_there():
    assert {row["case"] for row in rows("decode") if row["ok"]} >= BEYOND_OUR_BOUNDS
