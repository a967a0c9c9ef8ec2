"""From settings.MACHINERY to ServerConfig."""

from datetime import timedelta

import pytest
from django.test import override_settings

from django_machinery.conf import KEYS, ServerConfig, aliases, server_config
from django_machinery.conf.reading import nearest
from django_machinery.exceptions import ConfigurationError
from django_machinery.protocol.codec import Limits


def configured(**keys):
    with override_settings(MACHINERY={"default": keys}):
        return server_config()


def refusal(**keys):
    with pytest.raises(ConfigurationError) as caught:
        configured(**keys)
    return str(caught.value)


def test_without_the_setting_there_is_one_server_on_the_default_database(settings):
    del settings.MACHINERY
    config = server_config()
    assert aliases() == ["default"]
    assert (config.broker, config.result_backend, config.lock) == ("orm://default",) * 3
    assert config.database == "default"


def test_an_empty_setting_is_none():
    with override_settings(MACHINERY={}):
        assert server_config() == ServerConfig()


def test_the_defaults_are_those_of_go_where_it_has_one():
    config = configured()
    assert config.default_queue == "machinery_tasks"
    assert config.results_expire_in is None
    assert config.concurrency is None


def test_the_bounds_of_messages_are_those_of_the_codec_unless_set():
    assert configured().limits == Limits()
    assert configured(MAX_MESSAGE_BYTES=1000, MAX_MESSAGE_DEPTH=20, MAX_MESSAGE_ELEMENTS=300).limits == Limits(
        max_bytes=1000, max_depth=20, max_elements=300
    )


def test_each_alias_has_its_own_settings():
    with override_settings(MACHINERY={"default": {}, "reports": {"DEFAULT_QUEUE": "reports"}}):
        assert aliases() == ["default", "reports"]
        assert server_config("default").default_queue == "machinery_tasks"
        assert server_config("reports").default_queue == "reports"
        assert server_config("reports").alias == "reports"


def test_changed_settings_are_read_again():
    assert configured(DEFAULT_QUEUE="one").default_queue == "one"
    assert configured(DEFAULT_QUEUE="two").default_queue == "two"


def test_a_config_cannot_be_changed_and_is_hashable():
    config = configured(DRIVERS={"toy": {"broker": "toys.Broker"}})
    with pytest.raises(AttributeError):
        config.broker = "redis://"
    assert hash(config) == hash(configured(DRIVERS={"toy": {"broker": "toys.Broker"}}))


def test_a_config_shows_no_secrets():
    config = configured(BROKER="redis://u:secret@h", NOTIFY_DSN="password=secret")
    assert repr(config) == "<ServerConfig 'default': redis://u:***@h, orm://default, orm://default>"


def test_durations_may_be_timedeltas():
    config = configured(LEASE=timedelta(seconds=2.5), RESULTS_EXPIRE_IN=timedelta(days=1), SHUTDOWN_TIMEOUT=0)
    assert (config.lease, config.results_expire_in, config.shutdown_timeout) == (2.5, 86400, 0.0)


def test_a_list_of_queues_is_kept_in_order():
    assert configured(QUEUES=["urgent", "slow"]).queues == ("urgent", "slow")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AMQP_PREFETCH_COUNT", -1),
        ("AMQP_QUEUE_BINDING_ARGS", {"x": [1]}),
        ("AMQP_QUEUE_BINDING_ARGS", {1: "x"}),
        ("BROKER", 5),
        ("BROKER", "localhost:6379"),
        ("BROKER", None),
        ("CONCURRENCY", -1),
        ("CONCURRENCY", True),
        ("CONCURRENCY", 1.5),
        ("DATABASE", ""),
        ("DEFAULT_QUEUE", " math"),
        ("DEFAULT_QUEUE", b"math"),
        ("DRIVERS", {"toy": "toys.Broker"}),
        ("DRIVERS", {"toy": {"brokre": "toys.Broker"}}),
        ("DRIVERS", ["toy"]),
        ("LEASE", 0),
        ("LEASE", "10"),
        ("LEASE", float("nan")),
        ("LEASE", float("inf")),
        ("LEASE", 10**400),
        pytest.param("LOCK", 10**5000, id="an integer that Python does not print"),
        ("MAX_CRASHES", 0),
        ("MAX_MESSAGE_BYTES", None),
        ("NOTIFY_DSN", None),
        ("QUEUES", "a,b"),
        ("QUEUES", [1]),
        ("RESULTS_EXPIRE_IN", 0),
        ("RESULTS_EXPIRE_IN", 1.5),
        ("RESULTS_EXPIRE_IN", float("inf")),
        ("SHUTDOWN_TIMEOUT", timedelta(seconds=-1)),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(key, value):
    assert refusal(**{key: value}).startswith(f"MACHINERY['default']['{key}'] must be {KEYS[key].kind.words}, not ")


def test_a_refusal_shows_no_secret():
    text = refusal(BROKER="redis//user:secret pw@host?password=secret", QUEUES={"password": "secret"})
    assert "secret" not in text


def test_a_refusal_shows_no_value_of_a_secret_setting():
    assert refusal(REDIS_SENTINEL_PASSWORD=12345678).endswith("must be text, not int.")


def test_all_that_is_wrong_is_told_at_once():
    assert len(refusal(BROKER=5, LEASE=0, BROKRE="x").splitlines()) == 3


def test_an_unknown_key_is_refused_with_the_nearest_right_one():
    assert (
        refusal(RESULT_BACKND="x")
        == "MACHINERY['default'] has an unknown key 'RESULT_BACKND'. Did you mean 'RESULT_BACKEND'?"
    )
    assert "Did you mean 'BROKER'?" in refusal(broker="x")


def test_a_key_that_is_like_none_is_refused_with_all_that_there_are():
    assert f"There are: {', '.join(sorted(KEYS))}." in refusal(ZZZ=1)


def test_an_unknown_alias_is_refused_with_the_nearest_right_one():
    refused = pytest.raises(ConfigurationError, match=r"no server 'report'. Did you mean 'reports'\?")
    with override_settings(MACHINERY={"default": {}, "reports": {}}), refused:
        server_config("report")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["default"], "MACHINERY must be a dict of servers, not list."),
        ({"reports": {}}, 'MACHINERY has no server "default".'),
        ({"default": {}, 5: {}}, "The names of the servers in MACHINERY must be text, not 5."),
        pytest.param(10**5000, "MACHINERY must be a dict of servers, not an int of 16610 bits.", id="a large integer"),
        ({"default": "orm://default"}, "MACHINERY['default'] must be a dict of settings, not 'orm://default'."),
    ],
)
def test_a_setting_of_another_shape_is_refused(value, text):
    with override_settings(MACHINERY=value), pytest.raises(ConfigurationError) as caught:
        server_config()
    assert str(caught.value).startswith(text)


def test_the_nearest_of_nothing_is_no_hint():
    assert nearest("x", []) == ""
