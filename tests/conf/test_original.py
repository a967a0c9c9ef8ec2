"""The original's environment variables and file names, as settings."""

import pytest
from django.test import override_settings

from django_machinery.conf import KEYS, from_environment, server_config
from django_machinery.conf.original import from_document, is_originals, variable
from django_machinery.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS.values():
        monkeypatch.delenv(variable(key), raising=False)


def test_without_variables_nothing_is_set():
    assert from_environment() == {}


def test_the_originals_variables_are_read_under_their_own_names(monkeypatch: pytest.MonkeyPatch):
    given = {
        "BROKER": "redis://localhost:6379/1",
        "RESULT_BACKEND": "redis://localhost:6379/2",
        "LOCK": "redis://localhost:6379",
        "DEFAULT_QUEUE": "go_tasks",
        "RESULTS_EXPIRE_IN": "120",
        "REDIS_MAX_IDLE": "5",
        "REDIS_MAX_ACTIVE": "50",
        "REDIS_IDLE_TIMEOUT": "30",
        "REDIS_WAIT": "t",
        "REDIS_READ_TIMEOUT": "4",
        "REDIS_WRITE_TIMEOUT": "5",
        "REDIS_CONNECT_TIMEOUT": "6",
        "REDIS_NORMAL_TASKS_POLL_PERIOD": "500",
        "REDIS_DELAYED_TASKS_POLL_PERIOD": "20",
        "REDIS_DELAYED_TASKS_KEY": "later",
        "REDIS_CLIENT_NAME": "shop",
        "REDIS_MASTER_NAME": "mymaster",
        "REDIS_CLUSTER_ENABLED": "FALSE",
        "REDIS_SENTINEL_PASSWORD": "hunter2",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = from_environment()
    assert found.keys() == given.keys()
    assert (found["RESULTS_EXPIRE_IN"], found["REDIS_READ_TIMEOUT"]) == (120, 4.0)
    assert (found["REDIS_WAIT"], found["REDIS_CLUSTER_ENABLED"]) == (True, False)
    assert found["REDIS_NORMAL_TASKS_POLL_PERIOD"] == 500
    assert all(KEYS[name].kind.convert(value) == value for name, value in found.items())


def test_the_variables_of_drivers_that_are_not_there_yet_are_read(monkeypatch: pytest.MonkeyPatch):
    given = {
        "MULTIPLE_BROKEN_SEPARATOR": ";",
        "AMQP_EXCHANGE": "shop",
        "AMQP_EXCHANGE_TYPE": "topic",
        "AMQP_QUEUE_DECLARE_ARGS": "x-queue-mode:lazy",
        "AMQP_QUEUE_BINDING_ARGS": "x-match:any,format:pdf",
        "AMQP_BINDING_KEY": "shop_task",
        "AMQP_PREFETCH_COUNT": "1",
        "AMQP_AUTO_DELETE": "true",
        "AMQP_DELAYED_QUEUE": "later",
        "SQS_WAIT_TIME_SECONDS": "20",
        "SQS_VISIBILITY_TIMEOUT": "30",
        "SQS_VISIBILITY_HEARTBEAT": "1",
        "TASK_STATES_TABLE": "states",
        "GROUP_METAS_TABLE": "groups",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with override_settings(MACHINERY={"default": from_environment()}):
        config = server_config()
    assert (config.multiple_broker_separator, config.amqp_exchange, config.amqp_exchange_type) == (";", "shop", "topic")
    assert config.amqp_queue_declare_args == {"x-queue-mode": "lazy"}
    assert config.amqp_queue_binding_args == {"x-match": "any", "format": "pdf"}
    assert (config.amqp_binding_key, config.amqp_prefetch_count) == ("shop_task", 1)
    assert (config.amqp_auto_delete, config.amqp_delayed_queue) == (True, "later")
    assert (config.sqs_wait_time_seconds, config.sqs_visibility_timeout) == (20, 30)
    assert config.sqs_visibility_heartbeat is True
    assert (config.task_states_table, config.group_metas_table) == ("states", "groups")


def test_our_own_settings_have_a_prefix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LEASE", "7")
    monkeypatch.setenv("MACHINERY_LEASE", "5.5")
    monkeypatch.setenv("MACHINERY_QUEUES", "urgent, ordinary")
    monkeypatch.setenv("MACHINERY_QUEUE_WEIGHTS", "urgent=3, ordinary=1")
    monkeypatch.setenv("MACHINERY_CONCURRENCY", "0")
    assert from_environment() == {
        "LEASE": 5.5,
        "QUEUES": ["urgent", "ordinary"],
        "QUEUE_WEIGHTS": {"urgent": 3, "ordinary": 1},
        "CONCURRENCY": 0,
    }


def test_values_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch):
    """Go knows no values that stand for others; to django-environ "$HOME" is one."""
    given = {"REDIS_SENTINEL_PASSWORD": "$ecret", "REDIS_CLIENT_NAME": "$HOME", "REDIS_MASTER_NAME": r"\$x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert from_environment() == given


def test_what_is_empty_or_zero_in_go_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RESULTS_EXPIRE_IN", "0")
    monkeypatch.setenv("REDIS_READ_TIMEOUT", "0")
    monkeypatch.setenv("REDIS_MASTER_NAME", "")
    monkeypatch.setenv("REDIS_MAX_IDLE", "0")
    assert from_environment() == {"REDIS_MAX_IDLE": 0}


@pytest.mark.parametrize(
    "name",
    [
        "RESULTS_EXPIRE_IN",
        "REDIS_WAIT",
        "REDIS_READ_TIMEOUT",
        "AMQP_QUEUE_BINDING_ARGS",
        "SQS_VISIBILITY_TIMEOUT",
        "MACHINERY_MAX_CRASHES",
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "soon")
    with pytest.raises(ConfigurationError, match=name):
        from_environment()


def test_every_setting_that_go_has_is_read_under_gos_name():
    ours = [key.name for key in KEYS.values() if not is_originals(key)]
    assert all(not name.startswith(("AMQP_", "SQS_")) for name in ours)
    assert {"BROKER", "RESULT_BACKEND", "LOCK", "DEFAULT_QUEUE", "RESULTS_EXPIRE_IN"}.isdisjoint(ours)


def test_the_originals_file_is_understood():
    document = {
        "broker": "redis://localhost:6379",
        "lock": "redis://localhost:6379",
        "default_queue": "go_tasks",
        "result_backend": "redis://localhost:6379",
        "results_expire_in": 3600000,
        "multiple_broker_separator": ";",
        "no_unix_signals": True,
        "redis": {"max_idle": 4, "max_idle_timeout": 120, "normal_tasks_poll_period": 0, "client_name": None},
        "amqp": {
            "exchange": "shop",
            "exchange_type": "topic",
            "queue_declare_args": {"x-max-priority": 10},
            "queue_binding_args": {"x-match": "any"},
            "binding_key": "shop_task",
            "prefetch_count": 1,
            "auto_delete": True,
            "delayed_queue": "later",
        },
        "sqs": {
            "receive_wait_time_seconds": 20,
            "receive_visibility_timeout": 30,
            "visibility_hearth_beat": True,
        },
        "dynamodb": {"task_states_table": "states", "group_metas_table": "groups"},
        "concurrency": 8,
    }
    settings, unknown = from_document(document, document)
    assert unknown == []
    assert settings == {
        "BROKER": "redis://localhost:6379",
        "LOCK": "redis://localhost:6379",
        "DEFAULT_QUEUE": "go_tasks",
        "RESULT_BACKEND": "redis://localhost:6379",
        "RESULTS_EXPIRE_IN": 3600000,
        "REDIS_MAX_IDLE": 4,
        "REDIS_IDLE_TIMEOUT": 120,
        "MULTIPLE_BROKER_SEPARATOR": ";",
        "AMQP_EXCHANGE": "shop",
        "AMQP_EXCHANGE_TYPE": "topic",
        "AMQP_QUEUE_DECLARE_ARGS": {"x-max-priority": 10},
        "AMQP_QUEUE_BINDING_ARGS": {"x-match": "any"},
        "AMQP_BINDING_KEY": "shop_task",
        "AMQP_PREFETCH_COUNT": 1,
        "AMQP_AUTO_DELETE": True,
        "AMQP_DELAYED_QUEUE": "later",
        "SQS_WAIT_TIME_SECONDS": 20,
        "SQS_VISIBILITY_TIMEOUT": 30,
        "SQS_VISIBILITY_HEARTBEAT": True,
        "TASK_STATES_TABLE": "states",
        "GROUP_METAS_TABLE": "groups",
        "CONCURRENCY": 8,
    }


@pytest.mark.parametrize("document", [{"redis": 5}, {"amqp": ["x"]}, ["broker"], None, "broker"])
def test_a_file_of_another_shape_is_refused(document: object):
    with pytest.raises(ConfigurationError, match="file"):
        from_document(document, document)


def test_names_that_are_none_of_ours_are_told():
    document = {"brokr": "x", "redis": {"max_idl": 3}, "my_app": {"broker": "x"}}
    assert from_document(document, document) == ({}, ["brokr", "redis.max_idl", "my_app"])
