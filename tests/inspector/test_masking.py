"""What is hidden from operators, and what is not."""

import json
from typing import Any

import pytest

from django_machinery.conf.urls import HIDDEN
from django_machinery.inspector.masking import is_masked, mask_text, secrets_of, shown_args
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.registry import Registry, TaskDefinition


@pytest.fixture
def registry() -> Registry:
    def pay(account: str, password: str, pin: str = "", *rest: Any, **options: Any) -> None: ...

    registry = Registry()
    registry.register(TaskDefinition("pay", pay, sensitive=("pin",)))
    return registry


@pytest.mark.parametrize("name", ["password", "new_password", "API-Key", "apiKey", "accessToken", "Authorization"])
def test_names_with_a_word_of_the_list_are_masked(name: str):
    assert is_masked(name)


@pytest.mark.parametrize("name", ["account", "pass", "key", "author", "count"])
def test_other_names_are_not(name: str):
    assert not is_masked(name)


def test_the_words_are_a_setting():
    assert is_masked("iban", ["IBAN"])
    assert not is_masked("password", ["iban"])


def test_arguments_are_shown_under_their_parameters_and_the_hidden_ones_masked(registry: Registry):
    positional = [Arg.of(value) for value in ("me", "hunter2", "1234", 5)]
    named = [Arg.of("k", name="api_key"), Arg.of("n", name="note")]
    assert shown_args(Signature(name="pay", args=[*positional, *named]), registry) == [
        ("account", '"me"'),
        ("password", HIDDEN),
        ("pin", HIDDEN),
        ("rest", "5"),
        ("api_key", HIDDEN),
        ("note", '"n"'),
    ]


def test_arguments_of_an_unknown_task_have_a_name_or_a_number(registry: Registry):
    signature = Signature(name="else", args=[Arg.of(1), Arg.of("x", name="secret"), Arg.of("y", name="word")])
    assert shown_args(signature, registry) == [("0", "1"), ("secret", HIDDEN), ("word", '"y"')]


def test_values_within_json_are_masked_by_their_names(registry: Registry):
    value = {"user": "me", "login": {"password": "hunter2", "tries": [1, {"token": 7}]}}
    (_, text), *_ = shown_args(Signature(name="pay", args=[Arg.of(value)]), registry)
    assert json.loads(text) == {"user": "me", "login": {"password": HIDDEN, "tries": [1, {"token": HIDDEN}]}}


def test_the_secrets_of_a_task_are_its_hidden_values(registry: Registry):
    signature = Signature(name="pay", args=[Arg.of({"token": "abcdef"}), Arg.of("it's me"), Arg.of("12")])
    found = secrets_of(signature, registry)
    assert {"abcdef", "it's me", "12"} <= found
    assert HIDDEN in mask_text(f"no such login: {'it' + chr(39) + 's me'!r}", secrets=found)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user=me password=hunter2", f"user=me password={HIDDEN}"),
        ('{"api_key": "k \\" k", "n": 1}', f'{{"api_key": {HIDDEN}, "n": 1}}'),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {HIDDEN}"),
        ("login(db_password='x y')", f"login(db_password={HIDDEN})"),
        ("a token is missing", "a token is missing"),
        ("redis://me:secret@host/0 is away", f"redis://me:{HIDDEN}@host/0 is away"),
    ],
)
def test_texts_keep_the_names_and_lose_the_values(text: str, shown: str):
    assert mask_text(text) == shown


def test_a_short_value_is_a_secret_only_if_its_task_declares_it(registry: Registry):
    short = [Arg.of("me"), Arg.of("abc"), Arg.of(7)]
    assert secrets_of(Signature(name="pay", args=short), registry) == {"7"}


def test_short_secrets_are_taken_out_where_they_are_whole_words():
    assert mask_text("pin 12, not 123 nor a12", secrets=["12"]) == f"pin {HIDDEN}, not 123 nor a12"
    assert mask_text("'*' is not ***", secrets=["*"]) == f"'{HIDDEN}' is not {HIDDEN * 3}"


def test_secrets_are_taken_out_of_texts_the_longest_first():
    assert mask_text("abcdef and abc", secrets=["abc", "abcdef"]) == f"{HIDDEN} and {HIDDEN}"
