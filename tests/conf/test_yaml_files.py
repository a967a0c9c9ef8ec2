"""The original's YAML file as settings."""

import re
from pathlib import Path

import pytest
from django.test import override_settings

from django_machinery.conf import from_yaml, server_config, unknown_names
from django_machinery.exceptions import ConfigurationError
from tests.conf.conftest import GOOD


def test_a_file_holds_the_settings_of_a_server(file: Path):
    with override_settings(MACHINERY={"default": from_yaml(file)}):
        config = server_config()
    assert (config.broker, config.default_queue) == ("redis://:hunter2@localhost:6379", "go_tasks")
    assert (config.results_expire_in, config.concurrency, config.redis_max_idle) == (120, 2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("broker: [", "line"),
        ("a: b: hunter2", "line 1: mapping values"),
        ("broker: hunter2@nowhere", "URL"),
        ("results_expire_in: soon", "RESULTS_EXPIRE_IN"),
        ("redis: {max_idle: -1}", "REDIS_MAX_IDLE"),
        ("redis: {sentinel_password: *hunter2}", "line 1: found undefined alias '...'"),
        ("redis:\n  sentinel_password: !hunter2", "line 2: could not determine a constructor for the tag '...'"),
        ("redis: {sentinel_password: [hunter2]}", "REDIS_SENTINEL_PASSWORD"),
        ("results_expire_in: !!int hunter2", "no YAML"),
        ("redis: hunter2", "section 'redis'"),
        ("amqp: {queue_binding_args: [hunter2]}", "AMQP_QUEUE_BINDING_ARGS"),
        ("amqp: {queue_binding_args: &a {x: *a}}", "AMQP_QUEUE_BINDING_ARGS"),
        pytest.param("broker: " + "[" * 5000, "no YAML", id="nesting"),
        ("", "mapping"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_no_secret(file: Path, text: str, words: str):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        from_yaml(file)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml cannot be read"):
        from_yaml(tmp_path / "nowhere.yml")


@pytest.mark.parametrize(
    ("text", "setting", "value"),
    [
        ("redis: {sentinel_password: 12345678}", "REDIS_SENTINEL_PASSWORD", "12345678"),
        ("redis: {sentinel_password: 007}", "REDIS_SENTINEL_PASSWORD", "007"),
        ("redis: {client_name: 1.50}", "REDIS_CLIENT_NAME", "1.50"),
        ("redis: {master_name: yes}", "REDIS_MASTER_NAME", "yes"),
        ("redis: {<<: {master_name: 0x10}}", "REDIS_MASTER_NAME", "0x10"),
        ("default_queue: 2026-01-31", "DEFAULT_QUEUE", "2026-01-31"),
        ("default_queue: 2026-99-99", "DEFAULT_QUEUE", "2026-99-99"),
        ("queues: [1, no]", "QUEUES", ["1", "no"]),
        ("drivers: {toy: {broker: toys.Broker}}", "DRIVERS", {"toy": {"broker": "toys.Broker"}}),
        ("redis: {wait: yes}", "REDIS_WAIT", True),
        ("redis: {max_idle: 0x10}", "REDIS_MAX_IDLE", 16),
        (
            "amqp: {queue_binding_args: {x: 1, y: yes, z: 2026-01-31}}",
            "AMQP_QUEUE_BINDING_ARGS",
            {"x": 1, "y": True, "z": "2026-01-31"},
        ),
    ],
)
def test_settings_that_are_text_are_taken_as_they_are_written(file: Path, text: str, setting: str, value: object):
    """As Go decodes them: gopkg.in/yaml.v2, decode.go, scalar()."""
    file.write_text(text)
    assert from_yaml(file) == {setting: value}


@pytest.mark.parametrize("text", ["redis:", "redis: {}", "default_queue:", "redis: {master_name: ~}", "amqp: null"])
def test_what_is_empty_sets_nothing(file: Path, text: str):
    file.write_text(text)
    assert from_yaml(file) == {}
    assert list(unknown_names()) == []


def test_names_that_mean_nothing_are_passed_over_and_told(file: Path):
    file.write_text(GOOD + "  max_idl: 3\nmy_app: {workers: 3}\n1: 2\nno_unix_signals: true\nBroker: amqp://\n")
    assert from_yaml(file)["REDIS_MAX_IDLE"] == 4
    assert [str(problem) for problem in unknown_names()] == [
        f"{file} has a name that means nothing here: 'redis.max_idl'. Did you mean 'redis.max_idle'?",
        f"{file} has a name that means nothing here: 'my_app'.",
        f"{file} has a name that means nothing here: '1'.",
        f"{file} has a name that means nothing here: 'Broker'. Did you mean 'broker'?",
    ]


def test_settings_that_go_lacks_stand_outside_of_sections_or_in_them(file: Path):
    file.write_text("redis_priorities: true\nredis: {tls_ca: ca.pem}")
    assert from_yaml(file) == {"REDIS_PRIORITIES": True, "REDIS_TLS_CA": "ca.pem"}
