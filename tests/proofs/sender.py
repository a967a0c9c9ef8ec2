"""`python -m tests.proofs.sender <crashes> <seed>`: forks senders that end themselves at named points of sending.

Each writes an `Account` of the name that it sends, in the same transaction: what was committed is what has a row. The
points are hooks in the broker, the outbox and the transaction of this process, not in the product.
"""

import os
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import django
from django.db import connections, transaction

CRASHED = 9
"""The exit status of a sender that got to its point."""
POINTS = ("committed", "publishing", "half published", "published", "outbox deleted")
"""Between the commit and the end of the send, in their order."""
IN_THE_TRANSACTION = "in the transaction"
EVERY = 5
"""Of so many senders one more dies before its commit."""


def main(crashes: int, seed: int) -> None:
    """One line a sender: the point where it ended."""
    django.setup()
    random = Random(seed)
    for number in range(crashes):
        _fork(number, POINTS[number % len(POINTS)], random.randrange(2**32))
        if number % EVERY == 0:
            _fork(crashes + number, IN_THE_TRANSACTION, random.randrange(2**32))


def _fork(number: int, point: str, seed: int) -> None:
    connections.close_all()
    pid = os.fork()
    if not pid:
        try:
            send_and_crash(number, point, Random(seed))
        finally:
            os._exit(1)  # it should not have got here
    _, status = os.waitpid(pid, 0)
    sys.stdout.write(f"{point}\n" if os.waitstatus_to_exitcode(status) == CRASHED else f"MISSED {point}\n")
    sys.stdout.flush()


def send_and_crash(number: int, point: str, random: Random) -> None:
    """Send in transactions, some of which are rolled back, and end the process in the last one."""
    for earlier in range(random.randrange(3)):
        word = f"{number}-{earlier}"
        if random.random() < 0.5:
            _send(word, random)
        else:
            _send_and_roll_back(word, random)
    if point != IN_THE_TRANSACTION:
        ARM[point]()
    with transaction.atomic():
        if point == "committed":
            transaction.on_commit(crash)  # before the hook that the send adds
        _write_and_send(f"{number}-last", random)
        if point == IN_THE_TRANSACTION:
            crash()


def crash(*_: Any, **__: Any) -> None:
    """End without any cleaning up."""
    os._exit(CRASHED)


def _send(word: str, random: Random) -> None:
    with transaction.atomic():
        _write_and_send(word, random)


def _send_and_roll_back(word: str, random: Random) -> None:
    with transaction.atomic():
        _write_and_send(word, random)
        transaction.set_rollback(True)


def _write_and_send(word: str, random: Random) -> None:
    """One task, or a group of three."""
    from django_machinery import Group, send_group
    from tests.app.models import Account
    from tests.proofs import tasks

    words = [word] if random.random() < 0.7 else [f"{word}-{part}" for part in "abc"]
    Account.objects.bulk_create(Account(name=word) for word in words)
    if len(words) == 1:
        tasks.tell.send(word)
    else:
        send_group(Group(*[tasks.tell.signature(word) for word in words]))


def _arm_nothing() -> None:
    pass


def _arm_publishing() -> None:
    _broker().publish = crash


def _arm_half_published() -> None:
    """In the transaction of the broker's own store, after the first message of the batch."""
    broker = _broker()
    broker._insert = _then_crash(broker._insert)


def _arm_published() -> None:
    broker = _broker()
    broker.publish = _then_crash(broker.publish)


def _arm_outbox_deleted() -> None:
    """In the transaction that deletes the outbox row."""
    from django.db.models import QuerySet

    QuerySet.delete = _then_crash(QuerySet.delete)  # type: ignore[method-assign]


def _broker() -> Any:
    from django_machinery import servers

    return servers["default"].broker


def _then_crash(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> None:
        function(*arguments, **named)
        crash()

    return call


ARM = {
    "committed": _arm_nothing,
    "publishing": _arm_publishing,
    "half published": _arm_half_published,
    "published": _arm_published,
    "outbox deleted": _arm_outbox_deleted,
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
