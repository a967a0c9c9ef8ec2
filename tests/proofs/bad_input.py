"""Bad input in process: whatever comes, each part answers with its own error, which says something, or copes.

Messages go through a worker's executor, arguments through the conversion at both ends, settings through `conf`,
`manage.py check` and the making of a server.
"""

import argparse
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.test import override_settings

from django_machinery import checks, conf, servers
from django_machinery.exceptions import ArgumentError, ConfigurationError, DecodeError, EncodeError
from django_machinery.protocol.codec import decode_signature, encode_signature
from django_machinery.protocol.parameters import Parameters
from django_machinery.protocol.states import FAILURE, RETRY
from django_machinery.seams.broker import Delivery
from django_machinery.server import Server
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import TaskOutcome
from tests.proofs.ledger import Ledger
from tests.proofs.mutations import Mutator
from tests.proofs.site import new_site

INPUTS = 190_000
PARTS = {"messages": 12, "arguments": 5, "settings": 2}
"""Of how many parts of all each kind is."""
SECRET = "pa55word"
MARKED = re.compile(r"[a-z][a-z0-9+.-]*://[^\s@]*pa55word\S*@", re.IGNORECASE)
"""Where a URL shows that it is one: between scheme and host. Elsewhere nothing tells it from other text."""

HELP = "mutated messages, arguments and settings, in this process"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all kinds, default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site("sqlite") as place:
        return prove(place.server, options.inputs, options.seed)


def prove(server: Server, inputs: int, seed: int) -> Ledger:
    """Try `inputs` bad inputs."""
    mutator = Mutator(seed)
    trials: dict[str, Callable[[], str]]
    trials = {"messages": Messages(server, mutator), "arguments": Arguments(mutator), "settings": Settings(mutator)}
    ledger = Ledger(f"bad input in process: {inputs:,}, seed {seed}")
    for kind, trial in trials.items():
        began = time.monotonic()
        count = inputs * PARTS[kind] // sum(PARTS.values())
        answers, faults = _tried(trial, count)
        ledger.enter(**{kind: count}, **{f"{kind}: {answer}": n for answer, n in sorted(answers.items())})
        ledger.enter(**{f"{kind}: seconds": time.monotonic() - began})
        ledger.promise(f"{kind}: each is rejected or fails with a reason, or is understood", not faults, faults[:10])
    return ledger


def _tried(trial: Callable[[], str], count: int) -> tuple[Counter[str], list[str]]:
    """How often there was which answer, and what should not have been."""
    answers: Counter[str] = Counter()
    faults = []
    for _ in range(count):
        try:
            answers[trial()] += 1
        except Exception as error:
            answers["FAULT"] += 1
            faults.append("".join(traceback.format_exception(error)))
    return answers, faults


class Messages:
    """Mutated messages, delivered to an executor. What is understood is also written again, and read."""

    def __init__(self, server: Server, mutator: Mutator) -> None:
        self._mutator = mutator
        unit: Any = None  # of the tasks that the messages name none is atomic
        self._executor = Executor(server, unit, "proof", Hooks(), Announcer(server, "proof"), EventLoop())
        self._decode = server.decode

    def __call__(self) -> str:
        body = self._mutator.message()
        with _noted(body):
            ending = self._executor.execute(Delivery(body, "queue", 1, "token"), lambda run: None)
            with suppress(DecodeError):
                signature = self._decode(body)
                with suppress(EncodeError):
                    assert decode_signature(encode_signature(signature)) == signature
            return _answer(ending) if isinstance(ending, TaskOutcome) else type(ending).__name__


class Arguments:
    """Arguments from the wire for callables of all kinds, and Python values on their way to it."""

    def __init__(self, mutator: Mutator) -> None:
        self._mutator = mutator
        self._callables = [Parameters(function) for function in CALLABLES]
        self._turn = 0

    def __call__(self) -> str:
        self._turn += 1
        return self._receive() if self._turn % 2 else self._send()

    def _receive(self) -> str:
        body = self._mutator.arguments()
        with _noted(body):
            try:
                args = decode_signature(body).args
            except DecodeError as error:
                return _said(error, "no message")
            answers = [self._converted(parameters, args) for parameters in self._callables]
            return "converted" if "converted" in answers else answers[0]

    def _converted(self, parameters: Parameters, args: Any) -> str:
        try:
            parameters.to_call(args)
        except ArgumentError as error:
            return _said(error, "refused by all")
        return "converted"

    def _send(self) -> str:
        args, kwargs = self._mutator.values()
        answers = [self._sent(parameters, args, kwargs) for parameters in self._callables]
        return "sendable" if "sendable" in answers else answers[0]

    def _sent(self, parameters: Parameters, args: list[Any], kwargs: dict[str, Any]) -> str:
        try:
            found = parameters.to_args(args, kwargs)
        except (EncodeError, TypeError) as error:
            if isinstance(error, TypeError) and error.__traceback__ is not None:
                _raised_by_binding(error)
            return _said(error, "not sendable")
        for arg in found:
            decode_signature(_message_of(arg.type, bytes(arg.value)))
        return "sendable"


class Settings:
    """Mutated values of MACHINERY. A secret in a URL is shown by no error."""

    def __init__(self, mutator: Mutator) -> None:
        self._mutator = mutator

    def __call__(self) -> str:
        machinery = self._mutator.settings()
        with override_settings(MACHINERY=machinery):
            messages = [message for check in CHECKS for message in check()]
            texts = [f"{message.msg} {message.hint}" for message in messages]
            assert all(text.strip() and message.id for text, message in zip(texts, messages, strict=True))
            answer = self._built(bool([message for message in messages if message.is_serious()]), texts)
        if SECRET not in MARKED.sub("", _text(machinery)):
            assert not any(SECRET in text for text in texts), texts
        return answer

    def _built(self, serious: bool, texts: list[str]) -> str:
        try:
            aliases = conf.aliases()
            for alias in aliases:
                servers[alias].close()
        except ConfigurationError as error:
            texts.append(str(error))
            assert serious, "refused, though `check` has found nothing"
            return _said(error, "refused")
        return "found by `check` alone" if serious else "accepted"


CHECKS = (checks.check_settings, checks.check_servers, checks.check_tasks)


def _answer(ending: TaskOutcome) -> str:
    if ending.burial is not None:
        assert ending.burial.reason == "undecodable", ending.burial
        assert ending.burial.detail
        return "dead letters: undecodable"
    change = ending.change
    if change is None:
        return "ignored as they ask"
    assert change.state != FAILURE or (change.error and change.reason)
    assert change.state != RETRY or (change.attempt is not None and change.attempt.error)
    return f"ended in {change.state}"


def _text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of too many digits
        return SECRET


def _said(error: Exception, answer: str) -> str:
    assert str(error), f"{type(error).__name__} says nothing"
    return answer


def _raised_by_binding(error: TypeError) -> None:
    """A TypeError is the answer only to a call that Python would refuse too."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_filename.endswith("inspect.py"), "raised elsewhere"


def _message_of(kind: str, value: bytes) -> bytes:
    return f'{{"Name":"n","Args":[{{"Name":"","Type":"{kind}","Value":'.encode() + value + b"}]}"


class _noted:
    """Adds the input to what is raised."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            error.add_note(f"for {self._body[:400]!r}")


@dataclass
class Point:
    x: int
    y: list[float]


def _plain(x: int, y: int) -> None: ...
def _rest(*words: str) -> None: ...
def _anything(x: Any = None, *rest: Any, **words: Any) -> None: ...
def _slices(x: list[int], y: list[str] | None = None, *, words: bytes = b"") -> None: ...
def _json(x: Point, y: dict[str, int], when: datetime | None = None) -> None: ...
def _texts(x: Decimal, y: UUID | None = None, data: bytes = b"") -> None: ...
def _mixed(x: float, /, y: bool, *, words: Mapping[str, tuple[int, ...]] | None = None) -> None: ...


CALLABLES = (_plain, _rest, _anything, _slices, _json, _texts, _mixed)
