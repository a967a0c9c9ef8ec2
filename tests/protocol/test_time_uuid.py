"""UUIDs in the order of time."""

import time
from uuid import RFC_4122, UUID

from django_machinery.protocol.time_uuid import time_uuid


def test_it_is_a_uuid_of_version_7_in_the_form_of_the_originals():
    text = time_uuid()
    assert str(UUID(text)) == text
    assert UUID(text).version == 7
    assert UUID(text).variant == RFC_4122


def test_it_holds_the_time_in_milliseconds():
    before = time.time_ns() // 1_000_000
    milliseconds = UUID(time_uuid()).int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_a_later_one_sorts_behind():
    earlier = time_uuid()
    time.sleep(0.00001)
    assert time_uuid() > earlier


def test_those_of_one_moment_differ(monkeypatch):
    monkeypatch.setattr("django_machinery.protocol.time_uuid.time_ns", lambda: 1_700_000_000_123_999_999)
    uuids = {time_uuid() for _ in range(1000)}
    assert len(uuids) == 1000
    assert {uuid[:18] for uuid in uuids} == {
        f"{1_700_000_000_123:012x}"[:8] + "-" + f"{1_700_000_000_123:012x}"[8:] + "-7fff"
    }
