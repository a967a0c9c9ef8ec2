"""Base64 is read as Go reads it. What Go says was had from tasks.ReflectValue, as in golden/reflect.jsonl."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_machinery.exceptions import ArgumentError
from django_machinery.protocol.go_base64 import decode_base64


@pytest.mark.parametrize(
    ("text", "data"),
    [("", b""), ("AQI=\n", b"\x01\x02"), ("AQ=\n=", b"\x01"), ("A\r\nQ==", b"\x01"), ("AQJ=", b"\x01\x02")],
)
def test_line_breaks_and_loose_bits_are_taken(text, data):
    assert decode_base64(text) == data


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("AQI=x", 4),
        ("AQ=x", 2),
        ("AQ=", 3),
        ("AQ=\n", 4),
        ("AQI=\n=", 5),
        ("A=", 1),
        ("=", 0),
        ("AQIDA", 4),
        ("AQ==AQ==", 4),
        ("A\nQ", 1),
        ("AQ\n==\nx", 6),
        ("é", 0),
    ],
)
def test_a_fault_is_where_go_finds_it(text, position):
    with pytest.raises(ArgumentError, match=f"^illegal base64 data at input byte {position}$"):
        decode_base64(text)


@given(st.binary(), st.integers(1, 80))
def test_all_bytes_come_back_however_the_lines_are_broken(data, width):
    text = base64.b64encode(data).decode()
    lines = "\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    assert decode_base64(lines) == data
