"""Dead letters: kept once, and dug out at will."""

import pytest

from django_machinery.models import DeadLetter
from django_machinery.models.dead_letter import DeadLetterManager
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Delivery
from django_machinery.seams.unit import Burial, Outcome
from tests.contracts.support import unique


@pytest.fixture
def letters(database: str) -> DeadLetterManager:
    return DeadLetter.objects.db_manager(database)


def dead(body: bytes = b"\xff\x00 not text", uuid: str = "", signature: Signature | None = None) -> Outcome:
    delivery = Delivery(body, "math", 1, "token", claim=4, crashes=3, uuid=uuid)
    return Outcome(delivery, signature, burial=Burial("poison", "crashed 3 times", "host:1"))


def test_a_letter_has_all_that_is_known(letters: DeadLetterManager):
    signature = Signature.of("add", uuid=unique("task"))
    letters.bury("default", dead(signature=signature))
    letter = letters.get(uuid=signature.uuid)
    assert bytes(letter.body) == b"\xff\x00 not text"
    known = (letter.server, letter.queue, letter.name, letter.reason, letter.detail, letter.worker)
    assert known == ("default", "math", "add", "poison", "crashed 3 times", "host:1")
    assert (letter.claims, letter.crashes) == (4, 3)
    assert str(letter) == f"add {signature.uuid}: poison"


def test_what_cannot_be_decoded_has_the_uuid_that_the_broker_knows(letters: DeadLetterManager):
    letters.bury("default", dead(uuid="task_1"))
    assert str(letters.get()) == "undecodable task_1: poison"


def test_a_letter_holds_whatever_a_message_says_of_itself(letters: DeadLetterManager):
    signature = Signature(name="a\0\ud800d", uuid="\0" + 300 * "x")
    for _ in range(2):
        letters.bury("default", dead(b"{}", signature=signature))
    letter = letters.get()
    assert (letter.name, letter.uuid) == ("a\ufffd?d", "\ufffd" + 254 * "x")
    assert bytes(letter.body) == b"{}"


def test_a_delivery_that_comes_again_is_buried_once(letters: DeadLetterManager):
    for _ in range(2):
        letters.bury("default", dead())
    letters.bury("default", dead(b"another"))
    letters.bury("other", dead())
    assert letters.count() == 3


def test_a_letter_that_was_requeued_waits_no_more_and_may_die_again(letters: DeadLetterManager):
    letters.bury("default", dead())
    letters.bury("other", dead())
    ids = list(letters.values_list("id", flat=True))
    (letter,) = letters.waiting("default", ids)
    letter.mark_requeued()
    assert letters.waiting("default", ids) == []
    letters.bury("default", dead())
    assert letters.count() == 3
