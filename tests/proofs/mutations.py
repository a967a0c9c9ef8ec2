"""Bad input by the seed: messages, arguments and settings that are wrong in one place or in several."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from django_machinery import Chain, Chord, Group, Signature
from django_machinery.conf import KEYS
from django_machinery.protocol import workflows
from django_machinery.protocol.codec import encode_signature
from tests.app import tasks as app_tasks
from tests.protocol import golden_data

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\],:]')

ODD_TOKENS = (
    *(b"null", b"true", b"false", b"NaN", b"Infinity", b"-", b"{}", b"[]", b"[[]]", b'{"":{}}', b"{", b"}", b"[", b"]"),
    *(b"0", b"-0", b"1", b"-1", b"127", b"128", b"255", b"256", b"2147483648", b"9223372036854775807"),
    *(b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1" * 400, b"1e400", b"-1E-400"),
    *(b"0.1", b"1.0", b"1e2", b"01", b"+1", b"1.", b".5", b"0x10", b"1_000"),
    *(b'""', b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\x"', b'"\n"', b'"'),
    *(b'"int64"', b'"[]string"', b'"[]byte"', b'"json"', b'"[][]int"', b'"INT64"', b'"int65"', b'"AQ="', b'"%%%"'),
    *(b'"2026-02-30T00:00:00Z"', b'"0000-00-00"', b'"9999-12-31T23:59:59.999999999+23:59"', b'"0001-01-01T00:00:00Z"'),
    *(
        b'"tests.app.tasks.add"',
        b'"tests.app.tasks.nobody"',
        b'"os.system"',
        b'"__import__"',
        b'"' + b"x" * 5000 + b'"',
    ),
    *(b",", b":", b",,", b"/* */", b"#", b"\x00", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\\"),
)
"""What takes the place of a token: of other types, at the bounds, beyond them, not JSON at all."""


class Mutator:
    """Makes one bad input after another, the same for the same seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = Random(seed)
        self._messages = [encode_signature(signature) for signature in good_signatures()]
        golden = [row["input"].encode() for row in golden_data.rows("decode") if "input" in row]
        self._messages = self._messages * (8 * len(golden) // len(self._messages)) + golden

    def message(self, uuid: str = "") -> bytes:
        """A message with one to four faults, all but a few with `uuid` where the original had one."""
        random = self._random
        data = random.choice(self._messages)
        if uuid:
            data = data.replace(b'"UUID":"first"', f'"UUID":"{uuid}"'.encode(), 1)
        for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
            data = random.choice(_CHANGES)(random, data, self._messages)
        return data

    def arguments(self) -> bytes:
        """A message whose arguments are odd in number, name, type or value."""
        random = self._random
        args = [self._argument() for _ in range(random.choice((0, 1, 1, 2, 2, 3, 8)))]
        return b'{"UUID":"u","Name":"n","Args":[' + b",".join(args) + b"]}"

    def values(self) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for a call, of all types."""
        random = self._random
        names = random.sample(("x", "y", "words", "data", "when", "__class__", "", "self"), random.choice((0, 0, 1, 2)))
        return [self._value(_OBJECTS) for _ in range(random.randrange(4))], {
            name: self._value(_OBJECTS) for name in names
        }

    def settings(self) -> Any:
        """A value for MACHINERY."""
        random = self._random
        if random.random() < 0.05:
            return self._value(_PLAIN)
        server = dict(self._setting() for _ in range(random.choice((1, 1, 1, 2, 3))))
        aliases: dict[Any, Any] = {"default": server if random.random() < 0.95 else self._value(_PLAIN)}
        if random.random() < 0.1:
            aliases[random.choice(("other", "", 5, None, ("a",), "Default"))] = self._value(_PLAIN)
        return aliases

    def _argument(self) -> bytes:
        random = self._random
        name = random.choice((b'""', b'""', b'"x"', b'"y"', b'"words"', b'"nobody"', b"null", b"7"))
        kind = random.choice(_TYPES)
        value = random.choice(_VALUES)
        if random.random() < 0.5:
            value = random.choice(_TOKEN_CHANGES)(random, value, _VALUES)
        return b'{"Name":' + name + b',"Type":"' + kind + b'","Value":' + value + b"}"

    def _value(self, objects: Sequence[Any]) -> Any:
        value = self._random.choice(objects)
        if self._random.random() < 0.2:
            return self._random.choice(([value], {"a": value}, (value, value), [1.5, value], [[value]], {1: value}))
        return value

    def _setting(self) -> tuple[Any, Any]:
        """A key of a server and its value, one of them odd."""
        random = self._random
        name, key = random.choice(tuple(KEYS.items()))
        if random.random() < 0.2:
            return random.choice((name.lower(), name[1:], f"{name}S", "", None, 3, b"BROKER", (name,))), key.default
        if random.random() < 0.3:
            name = random.choice(("BROKER", "RESULT_BACKEND", "LOCK", "DATABASE", "NOTIFY_DSN"))
            return name, self._url()
        return name, self._value(_PLAIN)

    def _url(self) -> str:
        random = self._random
        url = random.choice(_URLS)
        if random.random() < 0.3:
            return url
        return random.choice(_TEXT_CHANGES)(random, url.encode(), [u.encode() for u in _URLS]).decode("latin-1")


def good_signatures() -> list[Signature]:
    """Messages of every shape, of tasks that the suite has; each with the UUID "first"."""
    add, total = app_tasks.add.signature(1, 2), app_tasks.total.signature()
    delayed = add.replace(eta=datetime(2026, 1, 2, tzinfo=UTC), headers={"a": "b", "n": 5}, priority=9)
    alarm = app_tasks.concat.signature("alarm")
    chain = workflows.link(Chain(add, app_tasks.multiply.partial(4), app_tasks.multiply.partial(5)))[0]
    callback, members = workflows.chord_members(Chord(Group(add, add), total, on_error=[alarm]))
    found = [
        add,
        delayed,
        chain,
        members[0].replace(chord_callback=callback),
        app_tasks.echo.signature({"deep": [1, None, {"é": "\u2028"}]}),
        app_tasks.greet.signature("Ada", greeting="bye", marks=2),
        add.replace(on_success=[total, alarm], on_error=[alarm], retry_count=2, immutable=True),
        Signature.of("tests.app.tasks.concat", "a", b"\x00\xff", [1, 2], 1.5, True),
    ]
    return [workflows.complete(signature, "machinery_tasks").replace(uuid="first") for signature in found]


Change = Callable[[Random, bytes, Sequence[bytes]], bytes]


def _flip(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    where = random.randrange(len(data) + 1)
    return data[:where] + bytes([random.randrange(256)]) + data[where + 1 :]


def _cut(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _drop(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randrange(1, 40) :]


def _double(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    end = start + random.randrange(1, 200)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 50)) + data[end:]


def _insert(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    where = random.randrange(len(data) + 1)
    return data[:where] + random.choice(ODD_TOKENS) + data[where:]


def _splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _nest(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    depth = random.choice((1, 2, 150, 201, 5000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'{"ChordCallback":', b"}")))
    return _at_token(random, data, lambda token: opening * depth + token + closing * depth)


def _replace(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _at_token(random, data, lambda token: random.choice(ODD_TOKENS))


def _replace_alike(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """By one of the same kind, so that the message stays well-formed."""
    return _at_token(random, data, lambda token: random.choice([t for t in ODD_TOKENS if t[:1] == token[:1]] or [b"1"]))


def _edit(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another value, or none, somewhere in a message that stays JSON."""
    try:
        tree = json.loads(data)
        holder, key = random.choice(list(_places(tree)))
    except (ValueError, IndexError, RecursionError):  # no JSON, a single value, or too deep
        return data
    alike = [value for value in _JSON_VALUES if type(value) is type(holder[key])]
    if random.random() < 0.1:
        del holder[key]
    else:
        holder[key] = random.choice(alike if alike and random.random() < 0.75 else _JSON_VALUES)
    return json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the tree with every key or index that it has."""
    if isinstance(tree, dict | list):
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield tree, key
            yield from _places(item)


def _forget(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _at_token(random, data, lambda token: b"")


def _repeat(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _at_token(random, data, lambda token: token + token)


def _turn_case(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _at_token(random, data, bytes.swapcase)


def _swap(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    spans = [match.span() for match in TOKEN.finditer(data)]
    if len(spans) < 2:
        return data
    (a, b), (c, d) = sorted(random.sample(spans, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _at_token(random: Random, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    spans = [match.span() for match in TOKEN.finditer(data)]
    if not spans:
        return change(data)
    start, end = random.choice(spans)
    return data[:start] + change(data[start:end]) + data[end:]


_TEXT_CHANGES: tuple[Change, ...] = (_flip, _cut, _drop, _double, _insert, _splice)
_TOKEN_CHANGES: tuple[Change, ...] = (_nest, _replace, _replace_alike, _forget, _repeat, _turn_case, _swap)
_CHANGES = _TEXT_CHANGES + 2 * _TOKEN_CHANGES + 40 * (_edit,)
_JSON_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 255, 256, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 1.5, 1e300, -0.0),
    *("", "a", "\0", "\ud800", "é", "x" * 300, "int64", "[]int64", "[]byte", "json", "float32", "uint8", "[][]int"),
    *("2026-01-02T03:04:05Z", "9999-12-31T23:59:59.999999999+23:59", "2026-02-30T00:00:00Z", "AQID", "%%%"),
    *("tests.app.tasks.add", "tests.app.tasks.fail", "tests.app.tasks.divide", "nobody", "other_queue"),
    *([], {}, [1, "a", None], [[1]], {"a": {"b": []}}, [None], [{"Name": "", "Type": "int64", "Value": 1}]),
)

_TYPES = (
    *(b"bool", b"int", b"int8", b"int16", b"int32", b"int64", b"uint", b"uint8", b"uint16", b"uint32", b"uint64"),
    *(b"float32", b"float64", b"string", b"[]byte", b"[]bool", b"[]int64", b"[]uint8", b"[]float64", b"[]string"),
    *(b"json", b"json", b"", b"Int", b"int7", b"[]", b"[][]int", b"[]json", b"error", b"\\u0000", b"map[string]int"),
)
_VALUES = (
    *(b"1", b"-1", b"3.5", b"true", b"null", b'"text"', b'"AQID"', b"[1,2,3]", b'["a","b"]', b"[[1],[2]]", b"{}"),
    *(b'{"x":1,"y":[2]}', b'"2026-01-02T03:04:05Z"', b'"12.50"', b'"6f1c0d0e-8a0b-4c55-9d8e-2f4d6a7b8c9d"', b"[]"),
)
_URLS = (
    *("orm://default", "eager://", "null://", "leasing:///nowhere/queue", "amqp://guest:pa55word@localhost:5672/"),
    *("redis://:pa55word@localhost:6379/0", "https://sqs.us-east-2.amazonaws.com/1", "gcppubsub://project/sub"),
)


class _Hostile:
    """Something that no question can be asked of."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__
    __bool__ = __str__

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    __hash__ = object.__hash__


_PLAIN: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        1,
        -1,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        2**64,
        10**400,
        -(10**5000),
        0.0,
        1.5,
        math.nan,
        math.inf,
        -math.inf,
    ),
    *("", "text", "\0", "\ud800", "x" * 5000, b"", b"\xff", bytearray(b"a"), memoryview(b"a"), [], (), {}, set()),
    *([1, "a"], [None], {"a": 1}, {1: 2}, {"a"}, frozenset({1}), range(3), iter(()), object(), object, len),
    *(Decimal("NaN"), Decimal("1.5"), UUID(int=0), date(2026, 1, 2), datetime(2026, 1, 2), timedelta(days=-1)),
    *(timedelta.max, datetime.max.replace(tzinfo=UTC), complex(1, 2), Exception("e"), ...),
)
_OBJECTS = (*_PLAIN, _Hostile())
