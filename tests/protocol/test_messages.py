"""Any signature, state or group survives its bytes, and any bytes are a message or a `DecodeError`."""

import json
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol import codec
from django_machinery.protocol.json_text import encode_value
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import STATES, GroupMeta, TaskResult, TaskState
from django_machinery.protocol.times import ZERO_TIME, canonical_time, format_time
from tests.protocol.golden_data import rows

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(timezones=OFFSETS | st.just(UTC)).map(format_time)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10)
VALUES = JSON.map(encode_value).map(Raw)
ARGS = st.builds(Arg, TEXT, TEXT, VALUES)


def optional_tuples(items):
    return st.none() | st.lists(items, max_size=3).map(tuple)


def signatures_with(inner):
    return st.builds(
        Signature,
        uuid=TEXT,
        name=TEXT,
        queue=TEXT,
        eta_text=st.none() | TIMES,
        group_uuid=TEXT,
        group_task_count=INT64,
        args=optional_tuples(ARGS),
        headers=st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
        priority=st.integers(0, 255),
        immutable=st.booleans(),
        retry_count=INT64,
        retry_timeout=INT64,
        on_success=optional_tuples(st.none() | inner),
        on_error=optional_tuples(inner),
        chord_callback=st.none() | inner,
        broker_message_group_id=TEXT,
        sqs_receipt_handle=TEXT,
        stop_task_deletion_on_error=st.booleans(),
        ignore_when_task_not_registered=st.booleans(),
    )


SIGNATURES = signatures_with(signatures_with(st.just(Signature(uuid="leaf", name="n"))))
TASK_STATES = st.builds(
    TaskState,
    task_uuid=TEXT,
    task_name=TEXT,
    state=st.sampled_from(STATES) | TEXT,
    results=optional_tuples(st.none() | st.builds(TaskResult, TEXT, VALUES)),
    error=TEXT,
    created_at_text=TIMES | st.just(ZERO_TIME),
    ttl=INT64,
)
GROUPS = st.builds(
    GroupMeta,
    group_uuid=TEXT,
    task_uuids=optional_tuples(TEXT),
    chord_triggered=st.booleans(),
    lock=st.booleans(),
    created_at_text=TIMES,
    ttl=INT64,
)
CODECS: dict[str, Any] = {
    "signature": (codec.encode_signature, codec.decode_signature),
    "state": (codec.encode_state, codec.decode_state),
    "group": (codec.encode_group, codec.decode_group),
}
MESSAGES = st.one_of(
    st.tuples(st.just("signature"), SIGNATURES),
    st.tuples(st.just("state"), TASK_STATES),
    st.tuples(st.just("group"), GROUPS),
)


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_a_message_survives_its_bytes(kind_and_message):
    kind, message = kind_and_message
    encode, decode = CODECS[kind]
    data = encode(message)
    assert decode(data) == message
    assert encode(decode(data)) == data


@settings(max_examples=100, deadline=None)
@given(MESSAGES)
def test_both_ways_of_reading_agree(kind_and_message):
    kind, message = kind_and_message
    encode, decode = CODECS[kind]
    data = encode(message)
    assert decode(b" " + data) == decode(data)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_headers_of_any_kind_keep_their_text(value):
    signature = Signature(uuid="u", headers={"h": value})
    data = codec.encode_signature(signature)
    assert codec.encode_signature(codec.decode_signature(data)) == data
    assert encode_value(value) in data


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(CODECS)), st.binary() | TEXT.map(str.encode))
def test_any_bytes_are_a_message_or_a_decode_error(kind, data):
    read_or_refused(kind, data)


def read_or_refused(kind, data) -> bool:
    encode, decode = CODECS[kind]
    try:
        message = decode(data)
    except DecodeError:
        return False
    assert decode(encode(message)) == message
    return True


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One to three edits: a byte changed, a stretch cut, doubled, or something added that matters in JSON."""
    edited = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(edited) + 1)
        edit = rng.randrange(4)
        if edit == 0:
            edited[at : at + 1] = bytes([rng.randrange(256)])
        elif edit == 1:
            del edited[at : at + rng.randrange(1, 12)]
        elif edit == 2:
            edited[at:at] = edited[at : at + rng.randrange(40)]
        else:
            edited[at:at] = rng.choice(
                [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\xff", b"-0", b"1e9", b" ", b"null"]
            )
    return bytes(edited)


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_damaged_messages_are_messages_or_decode_errors(kind):
    rng = random.Random(f"a fixed seed for each {kind}")
    files = {"signature": "signatures", "state": "states", "group": "groups"}
    written = [row["json"].encode() for row in rows(files[kind]) if row["ok"] and len(row["json"]) < 3000]
    outcomes = [read_or_refused(kind, mutated(rng, rng.choice(written))) for _ in range(4000)]
    assert 400 < sum(outcomes) < 3600, "the edits should leave some messages readable, and not all"


@pytest.mark.parametrize("path", ["", " "])
def test_null_and_empty_lists_stay_apart(path):
    for data in (b'"Args":null', b'"Args":[]', b'"OnSuccess":[]', b'"OnError":[null]', b'"Headers":{}'):
        again = codec.encode_signature(codec.decode_signature(path.encode() + b"{" + data + b"}"))
        assert data in again


def test_text_and_buffers_are_taken_as_well_as_bytes():
    data = codec.encode_signature(Signature.of("add", "é", "\u2028", uuid="<é>"))
    for form in (data.decode(), bytearray(data), memoryview(data)):
        assert codec.decode_signature(form) == codec.decode_signature(data)
    with pytest.raises(DecodeError):
        codec.decode_signature("")


def test_what_is_not_unicode_is_replaced_as_in_go():
    signature = Signature.of("a\udcff", "b\udcff", uuid="\udcff", headers={"c\udcff": "d\udcff"})
    again = codec.decode_signature(codec.encode_signature(signature))
    lost = "\N{REPLACEMENT CHARACTER}"
    assert again == Signature.of(f"a{lost}", f"b{lost}", uuid=lost, headers={f"c{lost}": f"d{lost}"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2}, [float("nan")]])
def test_a_header_without_a_form_in_json_is_refused(value):
    with pytest.raises(EncodeError):
        codec.encode_signature(Signature(headers={"h": value}))


def test_a_field_without_a_form_in_json_is_refused():
    with pytest.raises(EncodeError):
        codec.encode_state(TaskState(error=object()))  # type: ignore[arg-type]


def test_headers_are_sorted_as_go_sorts_them():
    names = ["é", "~", "a", "B", "\uffff", "\U0001f600", "", "z<"]
    data = codec.encode_signature(Signature(headers=dict.fromkeys(names, "")))
    keys = list(json.loads(data)["Headers"])
    assert keys == sorted(names, key=str.encode)


def test_numbers_in_headers_are_numbers_where_python_writes_them_the_same():
    headers = codec.decode_signature(b'{"Headers":{"a":1,"b":1.5,"c":1.50,"d":[1e21],"e":1e+21}}').headers
    assert headers == {"a": 1, "b": 1.5, "c": Raw(b"1.50"), "d": [Raw(b"1e21")], "e": 1e21}


A, B = Signature(uuid="a"), Signature(uuid="b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '"Args":[{"Name":"a"},{"Name":"b"}],"Args":[{"Type":"c"}],"Args":[{},{}]',
            Signature(args=[Arg("a", "c"), Arg("b")]),
        ),
        ('"Args":[{"Name":"a"}],"Args":[],"Args":[{}]', Signature(args=[Arg()])),
        ('"Args":[{"Name":"a"}],"Args":null,"Args":[{}]', Signature(args=[Arg()])),
        ('"OnSuccess":[{"UUID":"a"}],"OnSuccess":[{"Name":"n"}]', Signature(on_success=[A.replace(name="n")])),
        ('"OnSuccess":[{"UUID":"b"}],"OnSuccess":[null],"OnSuccess":[{}]', Signature(on_success=[Signature()])),
        ('"ChordCallback":{"Name":"n"},"ChordCallback":null,"ChordCallback":{"UUID":"b"}', Signature(chord_callback=B)),
        ('"Headers":{"a":{"b":"1"}},"Headers":{"a":{"c":"2"}}', Signature(headers={"a": {"c": "2"}})),
        ('"Headers":{"a":"1"},"Headers":null,"Headers":{"b":"2"}', Signature(headers={"b": "2"})),
        ('"ETA":"2026-01-02T03:04:05Z","ETA":null', Signature()),
    ],
)
def test_a_field_that_comes_again_is_read_over_the_first_as_in_go(text, expected):
    assert codec.decode_signature("{" + text + "}") == expected


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.120Z", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05,12Z"])
def test_a_time_that_go_writes_otherwise_is_written_as_go_does(text):
    canonical = canonical_time(text)
    signature, state = Signature(eta_text=canonical), TaskState(created_at_text=canonical)
    for message, (encode, decode) in ((signature, CODECS["signature"]), (state, CODECS["state"])):
        assert decode(encode(message).replace(canonical.encode(), text.encode())) == message


def test_unknown_fields_are_dropped():
    assert codec.decode_signature(b'{"UUID":"u","Extra":[1,{"UUID":"v"}],"uuids":"w"}') == Signature(uuid="u")


def test_a_time_is_kept_to_the_nanosecond():
    data = b'{"ETA":"2026-01-02T03:04:05.123456789+05:30"}'
    signature = codec.decode_signature(data)
    assert signature.eta_text == "2026-01-02T03:04:05.123456789+05:30"
    assert signature.eta == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
