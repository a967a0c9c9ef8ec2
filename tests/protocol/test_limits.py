"""Messages are bounded in bytes, depth and elements, whichever way they are read, and bad ones cost little."""

import inspect
import itertools
import sys
import time

import pytest
from msgspec import Raw

from django_machinery.exceptions import DecodeError, EncodeError
from django_machinery.protocol.codec import Limits, decode_signature, decode_state, encode_signature, encode_state
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import TaskResult, TaskState
from django_machinery.protocol.workflows import Chain, link

LARGEST = 4 * 1024 * 1024


def with_value(text: bytes) -> Signature:
    return Signature(uuid="u", name="n", args=(Arg(type="json", value=Raw(text)),))


def arrays(count: int) -> bytes:
    return b"[" * count + b"]" * count


def spaced(message: bytes) -> bytes:
    """The same message written otherwise than Go does."""
    return message.replace(b'"UUID":', b'"UUID": ', 1)


def nested(count: int) -> Signature:
    """A signature with as many levels of callbacks in it."""
    signature = Signature(uuid="0")
    for level in range(count):
        signature = Signature(uuid=str(level + 1), on_success=[signature])
    return signature


def accepts(data: bytes, limits: Limits) -> bool:
    try:
        decode_signature(data, limits)
    except DecodeError:
        return False
    return True


def test_the_defaults_are_those_of_the_documentation():
    assert Limits() == Limits(max_bytes=4 * 1024 * 1024, max_depth=200, max_elements=100_000)


@pytest.mark.parametrize("write", [bytes, spaced])
def test_bytes_are_counted_to_the_last(write):
    data = write(encode_signature(Signature.of("add", "x" * 100)))
    assert accepts(data, Limits(max_bytes=len(data)))
    assert not accepts(data, Limits(max_bytes=len(data) - 1))


@pytest.mark.parametrize("write", [bytes, spaced])
def test_levels_of_a_value_are_counted(write):
    for depth, accepted in [(200, True), (201, False)]:
        data = write(encode_signature(with_value(arrays(depth)), Limits(max_depth=1000)))
        assert accepts(data, Limits()) is accepted


@pytest.mark.parametrize("write", [bytes, spaced])
def test_levels_of_signatures_are_counted_apart_from_those_of_values(write):
    for depth, accepted in [(200, True), (201, False)]:
        deepest = nested(depth).replace(args=with_value(arrays(200)).args)
        data = write(encode_signature(deepest, Limits(max_depth=1000)))
        assert accepts(data, Limits()) is accepted


@pytest.mark.parametrize("write", [bytes, spaced])
def test_elements_are_counted_at_any_level(write):
    value = b"[" + b",".join([b'{"a":[1,2]}'] * 100) + b"]"
    data = write(encode_signature(with_value(value)))
    elements = 19 + 1 + 3 + 100 * 4  # fields, the argument, its fields, and what its value holds
    assert accepts(data, Limits(max_elements=elements))
    assert not accepts(data, Limits(max_elements=elements - 1))


def test_commas_and_brackets_in_a_string_are_no_elements_and_no_levels():
    data = encode_signature(Signature.of("add", ",[{" * 200), Limits(max_depth=3, max_elements=30))
    assert accepts(data, Limits(max_depth=3, max_elements=30))


def test_a_large_message_that_is_within_the_limits_is_read():
    signature = Signature.of("add", list(range(90_000)), "x" * 2_000_000)
    assert decode_signature(encode_signature(signature)) == signature


def test_the_longest_chain_is_sent_and_read():
    first = link(Chain(*[Signature.of("add", [1, 2])] * 200))[0]
    assert decode_signature(encode_signature(first)) == first


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(Signature.of("add", "x" * LARGEST), id="bytes"),
        pytest.param(Signature.of("add", list(range(100_000))), id="elements"),
        pytest.param(with_value(arrays(201)), id="levels of a value"),
        pytest.param(nested(201), id="levels of signatures"),
        pytest.param(nested(5_000), id="more levels than the stack has"),
    ],
)
def test_what_no_worker_would_read_is_refused_at_send(signature):
    with pytest.raises(EncodeError):
        encode_signature(signature)


def test_states_have_the_same_limits():
    state = TaskState(results=(TaskResult("json", Raw(arrays(201))),))
    data = encode_state(state, Limits(max_depth=201))
    assert decode_state(data, Limits(max_depth=201)) == state
    with pytest.raises(DecodeError, match="levels"):
        decode_state(data)
    with pytest.raises(EncodeError):
        encode_state(state)


def value_of(text: bytes) -> bytes:
    return b'{"Args":[{"Name":"","Type":"json","Value":' + text + b"}]}"


HOSTILE = {
    "digits": value_of(b"9" * (LARGEST - 100)),
    "fraction": value_of(b"0." + b"9" * (LARGEST - 100)),
    "header of digits": b'{"Headers":{"a":' + b"9" * (LARGEST - 100) + b"}}",
    "integer field of digits": b'{"RetryCount":' + b"9" * (LARGEST - 100) + b"}",
    "time of digits": b'{"ETA":"2026-01-02T03:04:05.' + b"9" * (LARGEST - 100) + b'Z"}',
    "escapes": value_of(b'"' + rb"\u0041" * (LARGEST // 6 - 20) + b'"'),
    "lone surrogates": value_of(b'"' + rb"\ud800" * (LARGEST // 6 - 20) + b'"'),
    "no UTF-8": value_of(b'"' + b"\xff" * (LARGEST - 100) + b'"'),
    "string that does not end": b'{"UUID":"' + rb"\"" * (LARGEST // 2 - 10),
    "spaces": b" " * (LARGEST - 10) + b"{}",
    "open brackets": b"[" * LARGEST,
    "open callbacks": b'{"OnSuccess":[' * (LARGEST // 14),
    "siblings": value_of(b"[" + b"[]," * (LARGEST // 3 - 50) + b"1]"),
    "arguments": b'{"Args":[' + b"{}," * (LARGEST // 3 - 50) + b"{}]}",
    "duplicate headers": b"{" + b",".join(b'"Headers":{"%d":"b"}' % n for n in range(49_000)) + b"}",
    "duplicate arguments": b'{"Args":[' + b"{}," * 40_000 + b"{}]" + b',"Args":[{}]' * 25_000 + b"}",
    "towers": value_of(b"[" + b",".join([arrays(199)] * 400) + b"]"),
    "a long name": b'{"' + "\N{KELVIN SIGN}".encode() * (LARGEST // 3 - 10) + b'":1}',
    "escapes of Go": value_of(b'"' + b"<" * (LARGEST - 100) + b'"'),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_the_largest_message_costs_time_in_proportion_to_its_length(data):
    assert len(data) <= LARGEST
    start = time.process_time()
    accepts(data, Limits())
    assert time.process_time() - start < 5, "quadratic: a linear scan takes less than a second"


def test_a_deep_message_on_a_deep_stack_is_a_decode_error_at_worst():
    data = spaced(encode_signature(nested(200).replace(args=with_value(arrays(200)).args)))
    outcomes = set()

    def dive(left: int) -> None:
        if left:
            dive(left - 1)
        else:
            outcomes.add(accepts(data, Limits()))

    # pytest's own frames are below: find the depth at which the stack is about to end.
    for margin in itertools.chain(range(60, 400, 20), [700]):
        dive(max(sys.getrecursionlimit() - _frames() - margin, 0))
    assert True in outcomes


def _frames() -> int:
    return len(inspect.stack(0))
