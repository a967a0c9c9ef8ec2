"""A signature is frozen data that is easy to make, to copy with changes, and hard to make wrong."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_machinery.exceptions import EncodeError
from django_machinery.protocol import headers
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import (
    FAILURE,
    PENDING,
    RECEIVED,
    RETRY,
    STATES,
    SUCCESS,
    GroupMeta,
    TaskState,
    merge,
)
from django_machinery.protocol.times import ZERO_TIME, canonical_time, format_time, parse_time

NOON = datetime(2026, 1, 2, 12, 0, 0, 120000, tzinfo=UTC)


def test_python_values_become_arguments():
    signature = Signature.of("add", 1, "two", queue="math", retry_count=3)
    assert (signature.name, signature.queue, signature.retry_count) == ("add", "math", 3)
    assert signature.args == (Arg.of(1), Arg.of("two"))
    assert Signature(name="add", args=[1, "two"], queue="math", retry_count=3) == signature
    assert Signature(name="add", args=(Arg.of(1), "two"), queue="math", retry_count=3) == signature
    assert Signature.of("noop").args == ()


def test_lists_become_tuples_and_any_iterable_will_do():
    a, b = Signature(name="a"), Signature(name="b")
    signature = Signature(args=iter([1]), on_success=[a], on_error=iter([b]))
    assert (signature.on_success, signature.on_error) == ((a,), (b,))
    changed = signature.replace(args=range(2), on_success={a.name: a}.values(), on_error=None)
    assert changed.args == (Arg.of(0), Arg.of(1))
    assert (changed.on_success, changed.on_error) == ((a,), None)


def test_a_signature_is_frozen():
    signature = Signature(headers={"a": "1"})
    with pytest.raises(AttributeError):
        signature.name = "other"  # type: ignore[misc]
    given = {"a": "2"}
    changed = signature.replace(headers=given)
    given["a"] = "3"
    assert changed.headers == {"a": "2"}


@pytest.mark.parametrize(
    ("eta", "text"),
    [
        (NOON, "2026-01-02T12:00:00.12Z"),
        (NOON.astimezone(timezone(timedelta(hours=-11, minutes=-30))), "2026-01-02T00:30:00.12-11:30"),
        (NOON.astimezone(timezone(timedelta(minutes=1, seconds=30))), "2026-01-02T12:00:00.12Z"),
        (None, None),
    ],
)
def test_eta_is_an_aware_datetime(eta, text):
    signature = Signature().replace(eta=eta)
    assert signature.eta_text == text
    assert signature.eta == eta


def test_eta_may_be_a_delay_from_now():
    before = datetime.now(UTC)
    eta = Signature.of("add", eta=timedelta(minutes=5)).eta
    assert eta is not None
    assert before <= eta - timedelta(minutes=5) <= datetime.now(UTC)


def test_a_naive_eta_is_refused():
    with pytest.raises(EncodeError, match="no time zone"):
        Signature().replace(eta=datetime(2026, 1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"priority": 256}, "priority: 256 is not from 0 to 255"),
        ({"priority": True}, "priority: True is no int"),
        ({"retry_count": "3"}, "retry_count: '3' is no int"),
        ({"retry_timeout": 2**63}, "retry_timeout"),
        ({"queue": None}, "queue: None is no str"),
        ({"immutable": 1}, "immutable: 1 is no bool"),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_refused(changes, message):
    with pytest.raises(EncodeError, match=message):
        Signature.of("add", **changes)


def test_an_unknown_field_is_a_type_error():
    with pytest.raises(TypeError):
        Signature.of("add", colour="red")  # type: ignore[call-arg]


def test_null_callbacks_are_left_out():
    a, b, c = Signature(name="a"), Signature(name="b"), Signature(name="c")
    signature = Signature(on_success=[None, a], on_error=[b, None], chord_callback=c)
    assert (signature.success_callbacks, signature.error_callbacks) == ((a,), (b,))
    assert signature.callbacks == (a, b, c)
    assert Signature().callbacks == ()


@pytest.mark.parametrize(
    "text",
    ["2026-01-02T03:04:05.123456789Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "1969-12-31T23:59:59.5Z"],
)
def test_times_are_read_to_the_microsecond(text):
    moment = parse_time(text)
    assert moment.tzinfo is not None
    assert text.startswith(format_time(moment)[:19])


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05+00:61", "2026-01-02T03:04:05+23:60"]
)
def test_an_offset_of_a_day_or_more_is_no_time(text):
    with pytest.raises(ValueError, match="off"):
        canonical_time(text)


def test_a_year_before_the_first_counts_as_long_ago():
    assert canonical_time("0000-02-29T00:00:00Z") == "0000-02-29T00:00:00Z"
    assert parse_time("0000-02-29T00:00:00Z") == datetime.min.replace(tzinfo=UTC)


def test_headers_that_go_has_no_field_for_are_strings():
    signature = headers.with_attempt(Signature(headers={"own": "1"}), 2)
    signature = headers.with_trace_id(headers.with_parent_uuid(headers.with_schedule_id(signature, "7"), "task_1"), "t")
    found = signature.headers or {}
    assert all(isinstance(value, str) for value in found.values())
    assert {name for name in found if not name.startswith(headers.PREFIX)} == {"own"}
    assert (headers.attempt(signature), headers.schedule_id(signature)) == (2, "7")
    assert (headers.parent_uuid(signature), headers.trace_id(signature)) == ("task_1", "t")


@pytest.mark.parametrize(
    "value", [None, {}, {"machinery-attempt": "x"}, {"machinery-attempt": 5}, {"machinery-attempt": "-1"}]
)
def test_a_header_that_is_missing_or_cannot_be_read_has_its_default(value):
    signature = Signature(headers=value)
    assert (headers.attempt(signature), headers.generation(signature), headers.later_count(signature)) == (1, 0, 0)
    assert headers.trace_id(signature) == ""


@pytest.mark.parametrize("state", STATES)
def test_what_a_state_means(state):
    task = TaskState(state=state)
    assert type(task.state) is str
    assert task.is_completed is (state in (SUCCESS, FAILURE))
    assert task.is_success is (state == SUCCESS)
    assert task.is_failure is (state == FAILURE)


def test_a_sender_writes_name_and_time():
    pending = TaskState.pending("task_1", "add", NOON)
    assert (pending.task_uuid, pending.task_name, pending.state) == ("task_1", "add", PENDING)
    assert pending.created_at == NOON
    assert TaskState.pending("task_1", "add").created_at >= NOON
    assert TaskState().created_at == datetime(1, 1, 1, tzinfo=UTC)


def test_a_group_lists_its_tasks():
    group = GroupMeta.of("group_1", ["task_1", "task_2"], NOON)
    assert (group.task_uuids, group.created_at) == (("task_1", "task_2"), NOON)
    assert GroupMeta.of("group_1", []).created_at >= NOON


@pytest.mark.parametrize("state", [RECEIVED, RETRY, SUCCESS])
def test_a_state_keeps_the_name_and_the_time_of_the_first(state):
    merged = merge(TaskState.pending("u", "add", NOON), TaskState(task_uuid="u", state=state))
    assert (merged.state, merged.task_name, merged.created_at) == (state, "add", NOON)


def test_pending_starts_anew():
    again = TaskState.pending("u", "other")
    assert merge(TaskState.pending("u", "add", NOON), again) is again
    lone = TaskState(task_uuid="u", state=SUCCESS)
    assert merge(None, lone) is lone
    assert lone.created_at_text == ZERO_TIME


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uuid", 7),
        ("name", None),
        ("queue", 5),
        ("group_uuid", b"g"),
        ("priority", 300),
        ("priority", -1),
        ("priority", True),
        ("immutable", "x"),
        ("immutable", 1),
        ("retry_count", "3"),
        ("retry_count", 2**70),
        ("retry_timeout", 1.5),
        ("group_task_count", -(2**63) - 1),
        ("eta_text", "tomorrow"),
        ("eta_text", 5),
        ("headers", 5),
        ("on_success", (5,)),
        ("on_error", ("log",)),
        ("chord_callback", 5),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_nobody_could_read_is_found_by_a_check_at_any_level(field, value, nested):
    bad = Signature(**{field: value})
    signature = Signature(on_error=[Signature(chord_callback=bad)]) if nested else bad
    with pytest.raises(EncodeError, match="signature" if field.startswith("on_") or "_callback" in field else field):
        signature.check()


def test_what_can_be_read_passes_the_check():
    class Name(str):
        """Such as Django's SafeString."""

    least, greatest = -(2**63), 2**63 - 1
    signature = Signature(name=Name("add"), retry_count=least, retry_timeout=greatest, priority=255, eta_text=ZERO_TIME)
    signature.replace(on_success=[signature, None], chord_callback=signature, headers={"a": "b"}).check()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"eta": 5}, "neither an aware datetime nor a timedelta"),
        ({"eta": timedelta(days=999999998)}, "not in the years"),
        ({"eta": datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=5)))}, "not in the years"),
        ({"eta": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}, "not in the years"),
        ({"on_success": [len]}, "signature"),
        ({"on_error": Signature(name="alarm")}, "a list of signatures"),
        ({"on_error": 5}, "a list of signatures"),
        ({"args": "ab"}, "no list of arguments"),
        ({"args": 5}, "no list of arguments"),
        ({"headers": 5}, "no mapping"),
    ],
)
def test_what_is_no_value_of_a_field_is_refused_in_clear_words(changes, told):
    with pytest.raises(EncodeError, match=told):
        Signature().replace(**changes)
