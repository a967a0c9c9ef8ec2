"""Signatures, states, groups and values are written as the original writes them, and read back."""

from typing import Any

import pytest

from django_machinery.exceptions import EncodeError
from django_machinery.protocol import codec
from django_machinery.protocol.go_types import from_wire, to_wire
from tests.protocol import golden_data
from tests.protocol.golden_data import ANNOTATIONS, case, rows

MESSAGES: dict[str, Any] = {
    "signatures": (golden_data.signature, codec.encode_signature, codec.decode_signature),
    "states": (golden_data.state, codec.encode_state, codec.decode_state),
    "groups": (golden_data.group, codec.encode_group, codec.decode_group),
}


def every(*names):
    return [pytest.param(name, row, id=f"{name}: {case(row)}") for name in names for row in rows(name)]


@pytest.mark.parametrize(("name", "row"), every("signatures", "states", "groups"))
def test_what_go_writes_is_written(name, row):
    build, encode, _ = MESSAGES[name]
    if row["ok"]:
        assert encode(build(row["spec"])).decode() == row["json"]
    else:
        with pytest.raises(EncodeError):
            encode(build(row["spec"]))


@pytest.mark.parametrize(
    ("name", "row"), [each for each in every("signatures", "states", "groups") if each.values[1]["ok"]]
)
def test_what_go_writes_is_read_and_written_again(name, row):
    _, encode, decode = MESSAGES[name]
    text = row["json"]
    # Go reads its escape of a byte that is not UTF-8 as the character, which needs no escape.
    assert encode(decode(text.encode())).decode() == text.replace("\\ufffd", "\N{REPLACEMENT CHARACTER}")
    assert decode(text) == decode(text.encode())


@pytest.mark.parametrize("row", rows("values"), ids=case)
def test_a_value_is_written_as_go_writes_it(row):
    kind, value = row["spec"]["go"], golden_data.python_value(row["spec"])
    assert row["ok"]
    name, text = to_wire(value, ANNOTATIONS[kind])
    assert (name, bytes(text).decode()) == (kind, row["json"])
    assert to_wire(from_wire(kind, text), ANNOTATIONS[kind]) == (kind, text)
