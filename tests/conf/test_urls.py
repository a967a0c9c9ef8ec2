"""URLs of stores."""

import pytest

from django_machinery.conf import parse_url, redact
from django_machinery.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("orm://default", ("orm", "default")),
        ("ORM://default", ("orm", "default")),
        ("eager", ("eager", "")),
        ("null", ("null", "")),
        ("redis://:pw@host:6379/0", ("redis", ":pw@host:6379/0")),
        ("redis+socket:///run/redis.sock", ("redis+socket", "/run/redis.sock")),
        ("https://sqs.us-east-2.amazonaws.com/123456789012", ("https", "sqs.us-east-2.amazonaws.com/123456789012")),
        ("memcache://10.0.0.1:11211,10.0.0.2:11211", ("memcache", "10.0.0.1:11211,10.0.0.2:11211")),
    ],
)
def test_a_url_is_a_scheme_and_the_rest(url, parts):
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "//host", "redis:host", "redis://a b", "1redis://host", " eager"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="is not a URL"):
        parse_url(url)


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(ConfigurationError) as caught:
        parse_url("redis://user:sec ret@host")
    assert "redis://user:***@host" in str(caught.value)
    assert "ret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("orm://default", "orm://default"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://secret@host", "redis://***@host"),
        ("127redis://:secret@host", "127redis://:***@host"),
        ("amqp://user:se/cr?et#@host/vhost", "amqp://user:***@host/vhost"),
        ("amqp://user:secr@et@host", "amqp://user:***@host"),
        ("amqp://a:secret@h1;amqp://b:secret@h2", "amqp://a:***@h2"),
        ("redis://host/0?password=secret&db=1", "redis://host/0?password=***&db=1"),
        ("sqs://host?aws_secret_access_key=secret;region=x", "sqs://host?aws_secret_access_key=***;region=x"),
        ("host=db password=secret user=me", "host=db password=*** user=me"),
        (r"host=db password = 'se cret\' x' user=me", "host=db password = *** user=me"),
        ("redis://host?api_key=secret", "redis://host?api_key=***"),
        ("mongodb://host/db?authSource=admin&design=blue", "mongodb://host/db?authSource=admin&design=blue"),
        ("redis+socket://secret@/run/redis.sock:/1", "redis+socket://***@/run/redis.sock:/1"),
        ("redis+socket://half:half@/run/redis.sock", "redis+socket://***@/run/redis.sock"),
        ("redis+socket://half:half@run/redis.sock", "redis+socket://***@run/redis.sock"),
        ("redis+sock://half:half@/run/redis.sock", "redis+sock://***@/run/redis.sock"),
        ("no socket at Redis+Socket://half:half@run", "no socket at Redis+Socket://***@run"),
        (
            "cannot reach amqp://user:secret@host, nor redis://secret@host",
            "cannot reach amqp://user:***@host, nor redis://***@host",
        ),
    ],
)
def test_secrets_are_hidden(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown
